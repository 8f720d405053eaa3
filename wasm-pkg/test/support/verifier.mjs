/**
 * `createVerifier` from the sources, with the module that the build has left in `dist`; or, in
 * the program that says so, the one that does without.
 */

import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeHost } from "../../js/hosts/node.mjs";
import { onServers } from "../../js/hosts/runtimes.mjs";
import { verifierFor as verifierWithModuleFor } from "../../js/verifier.mjs";
import { webcryptoVerifierFor } from "../../js/webcrypto/verifier.mjs";

export { VerifyError } from "../../js/errors.mjs";

/** Whether this program tests the verifier of `./webcrypto`, which has no `verifySync`. */
export const hasModule = process.env.TEST_VERIFIER !== "webcrypto";

const [FAST, PLAIN] = ["verifier.fast.wasm", "verifier.wasm"].map(
  (name) => new URL(`../../dist/${name}`, import.meta.url),
);

if (!existsSync(FAST) || !existsSync(PLAIN)) {
  throw new Error("dist has no module: run `node wasm-pkg/scripts/build.mjs` first");
}

const withFiles = () =>
  nodeHost({
    fast: () => readFileSync(FAST),
    plain: () => readFileSync(PLAIN),
  });

export const host = hasModule ? withFiles() : onServers;
export const verifierFor = hasModule ? verifierWithModuleFor : webcryptoVerifierFor;
export const createVerifier = verifierFor(host);

/** `test`, for what only a verifier with a module does. */
export const withModule = hasModule ? test : () => {};

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

/** The same for what does not wait; where there is no such thing, for what does. */
export const codeAtOnce = (verifier, token) =>
  codeOf(hasModule ? (async () => verifier.verifySync(token))() : verifier.verify(token));
