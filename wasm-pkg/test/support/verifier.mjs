/** `createVerifier` from the sources, with the module that the build has left in `dist`. */

import { existsSync, readFileSync } from "node:fs";
import { nodeHost } from "../../js/hosts/node.mjs";
import { verifierFor } from "../../js/verifier.mjs";

export { VerifyError } from "../../js/errors.mjs";

const [FAST, PLAIN] = ["verifier.fast.wasm", "verifier.wasm"].map(
  (name) => new URL(`../../dist/${name}`, import.meta.url),
);

if (!existsSync(FAST) || !existsSync(PLAIN)) {
  throw new Error("dist has no module: run `node wasm-pkg/scripts/build.mjs` first");
}

export const host = nodeHost({
  fast: () => readFileSync(FAST),
  plain: () => readFileSync(PLAIN),
});
export const createVerifier = verifierFor(host);

/** The code of a refusal; `ok` when there is none. Anything but a `VerifyError` is thrown on. */
export async function codeOf(promise) {
  try {
    await promise;
    return "ok";
  } catch (error) {
    if (error.name !== "VerifyError") throw error;
    return error.code;
  }
}

/** The same for what does not wait. */
export const codeOfSync = (act) => codeOf((async () => act())());
