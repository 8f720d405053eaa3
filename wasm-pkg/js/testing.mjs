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
    const verdict = core.verdict("verify_signature", publicKey, message, signature) !== 0;
    // 1 when valid, 2 when not, 0 when there are no tables.
    const byTables = core.verdict("verify_signature_by_tables", publicKey, message, signature);
    if (byTables !== 0 && (byTables === 1) !== verdict) {
      throw new Error(`the library says ${verdict}, and the tables contradict it`);
    }
    return verdict;
  };
};
