/** Wherever there is WebCrypto with Ed25519; WebAssembly is not asked for. */

import { verifierFor } from "../verifier.mjs";
import { WebCryptoCore } from "../webcrypto/core.mjs";

/**
 * @param {import("./runtimes.mjs").Runtime} runtime
 * @returns {import("../verifier.mjs").Host}
 */
export const webcryptoHost = (runtime) => ({
  ...runtime,
  // There is no module: what stands for an instance is nothing.
  instantiate: () => /** @type {any} */ (null),
  coreOf: () => /** @type {any} */ (new WebCryptoCore()),
});

/**
 * `createVerifier` for a runtime: without `verifySync`, as WebCrypto cannot but wait.
 *
 * @param {import("./runtimes.mjs").Runtime} runtime
 */
export function webcryptoVerifierFor(runtime) {
  const create = verifierFor(webcryptoHost(runtime));
  return (/** @type {import("../../index.js").VerifierOptions} */ options) => {
    if (!globalThis.crypto?.subtle) {
      throw new TypeError(
        "createVerifier needs WebCrypto, which browsers give to pages of https only",
      );
    }
    const { verifySync, ...verifier } = create(options);
    return Object.freeze(verifier);
  };
}
