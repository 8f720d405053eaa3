/**
 * `createVerifier` from the sources, with the module that the build has left in `dist`; or, in
 * the programs that say so, without any module.
 */

import { existsSync, readFileSync } from "node:fs";
import { createVerifier as createWithoutModule } from "../../js/entries/webcrypto.mjs";
import { nodeHost } from "../../js/hosts/node.mjs";
import { verifierFor } from "../../js/verifier.mjs";

export { VerifyError } from "../../js/errors.mjs";

const WASM = new URL("../../dist/verifier.wasm", import.meta.url);

if (!existsSync(WASM)) {
  throw new Error("dist/verifier.wasm is missing: run `node wasm-pkg/scripts/build.mjs` first");
}

export const host = nodeHost(() => readFileSync(WASM));

/** Whether this program tests the verifier of `./webcrypto`, which has no `verifySync`. */
export const hasModule = process.env.TEST_VERIFIER !== "webcrypto";
export const createVerifier = hasModule ? verifierFor(host) : createWithoutModule;

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
