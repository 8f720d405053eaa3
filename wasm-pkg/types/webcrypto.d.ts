/**
 * The verifier without WebAssembly, for pages whose content security policy forbids it: the same
 * verdicts, by WebCrypto. It needs WebCrypto with Ed25519 (Node 20, Chromium 137, Firefox 129,
 * Safari 17) and, in browsers, https. Workers and Next's edge runtime get the module instead: they
 * have no such policies, and a request there cannot wait for what another one has begun.
 */

import type { Verifier, VerifierOptions } from "@tollgate/verifier";

export { VerifyError } from "@tollgate/verifier";
export type {
  AccessClaims,
  JsonWebKeySet,
  KeySetCopy,
  VerifierOptions,
  VerifierState,
  VerifyErrorCode,
} from "@tollgate/verifier";

/**
 * Makes a verifier, as `createVerifier` of `@tollgate/verifier` does. There is no `verifySync`:
 * WebCrypto answers by promise.
 *
 * ```js
 * import { createVerifier } from "@tollgate/verifier/webcrypto";
 *
 * const { verify } = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 * console.log((await verify(token)).sub);
 * ```
 *
 * @throws TypeError when an option is missing, unknown or out of range; it says what to do.
 */
export function createVerifier(options: VerifierOptions): Omit<Verifier, "verifySync">;
