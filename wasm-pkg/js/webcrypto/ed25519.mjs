/**
 * Ed25519 by the strict rule, from a WebCrypto that knows a looser one: what implementations
 * disagree about is refused here, before WebCrypto is asked. See `shared-claims/src/algorithm.rs`.
 */

/**
 * Whether 32 bytes are the canonical encoding of a point whose order is not small.
 *
 * @param {Uint8Array} bytes
 */
export function isPoint(bytes) {
  if (bytes.length !== 32) return false;
  const y = number(bytes) & SIGN_MASK;
  return isSound(y) && isOnCurve(y);
}

/**
 * @param {Uint8Array<ArrayBuffer>} publicKey for which `isPoint` holds
 * @param {Uint8Array<ArrayBuffer>} message
 * @param {Uint8Array<ArrayBuffer>} signature
 * @returns {Promise<boolean>}
 */
async function verifyStrict(publicKey, message, signature) {
  const isStrict =
    signature.length === 64 &&
    isSound(number(signature.subarray(0, 32)) & SIGN_MASK) &&
    number(signature.subarray(32)) < ORDER;
  if (!isStrict) return false;
  const { subtle } = crypto;
  const key = await subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  return subtle.verify("Ed25519", key, signature, message);
}

/**
 * Whether a signature is good, by the strict rule.
 *
 * @param {Uint8Array<ArrayBuffer>} publicKey
 * @param {Uint8Array<ArrayBuffer>} message
 * @param {Uint8Array<ArrayBuffer>} signature
 */
export const verifySignature = async (publicKey, message, signature) =>
  isPoint(publicKey) && verifyStrict(publicKey, message, signature);

/**
 * @param {Uint8Array<ArrayBuffer>} publicKey for which `isPoint` holds
 * @param {import("./jws.mjs").Jws} jws
 */
export const verifySigned = (publicKey, { signed, signature }) =>
  verifyStrict(publicKey, new TextEncoder().encode(signed), signature);

/**
 * The coordinate is reduced, and not one of a point of order 1, 2, 4 or 8.
 *
 * @param {bigint} y
 */
const isSound = (y) => y < P && !SMALL_ORDER.includes(y);

/**
 * Whether x² = (y² − 1) / (dy² + 1) has a solution, by Euler's criterion.
 *
 * @param {bigint} y
 */
function isOnCurve(y) {
  const square = (y * y) % P;
  // Both sides times 121666, as d is −121665/121666; a quotient is a square when the product is.
  const product = 121666n * (square - 1n) * (121666n + 121665n * (P - square));
  return power(product % P, (P - 1n) / 2n) === 1n;
}

/**
 * @param {bigint} base
 * @param {bigint} exponent
 */
function power(base, exponent) {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % P;
    base = (base * base) % P;
  }
  return result;
}

/**
 * Little-endian, as RFC 8032 has it.
 *
 * @param {Uint8Array} bytes
 */
const number = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 0x14def9dea2f79cd65812631a5cf5d3edn;
const SIGN_MASK = 2n ** 255n - 1n;

/** Of a point of order 8; the other one has its negative. */
const EIGHTH = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const SMALL_ORDER = [0n, 1n, P - 1n, EIGHTH, P - EIGHTH];
