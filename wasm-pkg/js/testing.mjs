/**
 * The raw verdict on a signature, for lists of test vectors.
 *
 * @import { Host } from "./verifier.mjs"
 */

import { Core } from "./core.mjs";

/**
 * `verifySignature` for one runtime. See `testing.d.ts`.
 *
 * @param {Host} host
 */
export const signatureVerifierFor = (host) => {
  /** @type {Core | undefined} */
  let core;
  return async (
    /** @type {Uint8Array} */ publicKey,
    /** @type {Uint8Array} */ message,
    /** @type {Uint8Array} */ signature,
  ) => {
    core ??= new Core(await host.instantiate());
    const verdict = core.verifySignature(publicKey, message, signature);
    const byTables = core.verifySignatureByTables(publicKey, message, signature);
    if (byTables !== 0 && (byTables === 1) !== verdict) {
      throw new Error(`the library says ${verdict}, and the tables contradict it`);
    }
    return verdict;
  };
};
