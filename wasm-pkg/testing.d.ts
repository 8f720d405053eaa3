/**
 * Whether a signature is good by the strict rule that tokens are judged by: for lists of test
 * vectors, not for applications.
 *
 * Refused are wrong lengths, `s` not below the order of the group, keys and `R` of small order
 * or not canonically encoded, and whatever does not satisfy the equation without the cofactor
 * (RFC 8032, section 5.1.7, at its strictest).
 *
 * ```js
 * import { verifySignature } from "@tollgate/verifier/testing";
 *
 * await verifySignature(publicKey, message, signature); // true or false
 * ```
 *
 * @param publicKey 32 bytes; any other number is refused.
 * @param signature 64 bytes; any other number is refused.
 */
export function verifySignature(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean>;

/**
 * The same as `@tollgate/verifier/webcrypto` decides it.
 *
 * ```js
 * import { verifySignatureWithWebCrypto } from "@tollgate/verifier/testing";
 *
 * await verifySignatureWithWebCrypto(publicKey, message, signature); // true or false
 * ```
 */
export function verifySignatureWithWebCrypto(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean>;
