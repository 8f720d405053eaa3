/**
 * The compact serialisation of what the issuer signs, and the rules of its header. Whatever
 * fails first is thrown as the core's words for it: a code, or a code with a detail.
 *
 * @import { Members } from "./json.mjs"
 */

import { decode } from "./base64url.mjs";
import { parseObject } from "./json.mjs";

/** Why something is refused, in the core's words. */
export class Refused {
  /** @param {string} words */
  constructor(words) {
    this.words = words;
  }
}

/**
 * @typedef {{ kid: string, signed: string, payload: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer> }} Jws
 */

/**
 * Everything about a JWS that needs no key. The caller has checked its size.
 *
 * @param {string} text
 * @param {string} typ
 * @returns {Jws}
 */
export function parseJws(text, typ) {
  const segments = text.split(".");
  if (segments.length !== 3) throw new Refused("malformed (the number of segments)");
  const [header, payload, signature] = segments.map(
    (segment, i) => decode(segment) ?? malformed(i),
  );
  const kid = checkHeader(/** @type {any} */ (header), typ);
  const signed = text.slice(0, text.lastIndexOf("."));
  return /** @type {Jws} */ ({ kid, signed, payload, signature });
}

/**
 * A payload whose signature was right.
 *
 * @param {Uint8Array} payload
 */
export function readPayload(payload) {
  const text = textOf(payload);
  const members = text === null ? null : parseObject(text);
  return members ? { text: /** @type {string} */ (text), members } : malformed(1);
}

/**
 * UTF-8, and nothing else: neither repaired nor freed of a byte order mark.
 *
 * @param {Uint8Array} bytes
 */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The rules in their order; returns the id of the key.
 *
 * @param {Uint8Array} bytes
 * @param {string} typ
 */
function checkHeader(bytes, typ) {
  const header = parseObject(textOf(bytes) ?? "") ?? malformed(0);
  if (!isAlgorithm(header.get("alg"))) throw new Refused("unsupported_algorithm");
  if (CRITICAL.some((name) => header.has(name))) throw new Refused("critical_header");
  const type = header.get("typ");
  if (typeof type !== "string" || shortType(type) !== typ) throw new Refused("unsupported_type");
  const kid = header.get("kid");
  if (!isKid(kid)) throw new Refused("missing_key_id");
  return kid;
}

/** @param {unknown} alg */
export const isAlgorithm = (alg) => alg === "EdDSA" || alg === "Ed25519";

/**
 * @param {unknown} value
 * @returns {value is string}
 */
export const isKid = (value) => typeof value === "string" && /^[\w-]{43}$/.test(value);

/**
 * Media types compare without case, of ASCII only, and `application/` may be left out (RFC 7515,
 * section 4.1.9).
 *
 * @param {string} type
 */
const shortType = (type) =>
  type.replace(/[A-Z]/g, (c) => c.toLowerCase()).replace(/^application\//, "");

/**
 * @param {number} part
 * @returns {never}
 */
function malformed(part) {
  throw new Refused(`malformed (the ${["header", "payload", "signature"][part]})`);
}

const CRITICAL = ["crit", "jku", "x5u", "jwk", "x5c"];
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
