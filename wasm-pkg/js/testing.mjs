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
    return core.verifySignature(publicKey, message, signature);
  };
};
