/**
 * base64url without padding, in the one form RFC 4648, section 3.5 calls canonical.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer> | null} `null` for everything else
 */
export function decode(text) {
  if (text.length % 4 === 1) return null;
  const out = new Uint8Array((text.length * 3) >> 2);
  let bits = 0;
  let n = 0;
  let at = 0;
  for (const character of text) {
    const sextet = ALPHABET.indexOf(character);
    if (sextet < 0) return null;
    bits = ((bits << 6) | sextet) & 0xffff;
    n += 6;
    if (n >= 8) {
      n -= 8;
      out[at++] = bits >> n;
    }
  }
  // What is left over must be zero.
  return (bits & ((1 << n) - 1)) === 0 ? out : null;
}

/** @param {Uint8Array} bytes */
export const encode = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replace(/=/g, "")
    .replace(/\+/g, "-")
    .replace(/\//g, "_");

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
