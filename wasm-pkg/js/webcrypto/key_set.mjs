/**
 * Key sets (RFC 7517, section 5) and the keys in them that can verify our tokens. See
 * `shared-claims/src/key_set.rs`.
 *
 * @import { Members } from "./json.mjs"
 */

import { decode, encode } from "./base64url.mjs";
import { isPoint } from "./ed25519.mjs";
import { parseObject } from "./json.mjs";
import { isAlgorithm, textOf } from "./jws.mjs";
import { sha256 } from "./sha256.mjs";

/**
 * Public keys by their ids, in the order of the document.
 *
 * @typedef {Map<string, Uint8Array<ArrayBuffer>>} KeySet
 */

/**
 * @param {Uint8Array} document
 * @returns {KeySet | string} why it is refused, when it is
 */
export function readKeySet(document) {
  if (document.length > MAX_BYTES) return "the key set is larger than 64 KiB";
  const entries = parseObject(textOf(document) ?? "")?.get("keys");
  if (!Array.isArray(entries) || !entries.every((entry) => entry instanceof Map)) {
    return "the key set is not strict JSON of the expected form";
  }
  const keys = /** @type {Members[]} */ (entries);
  if (keys.length > MAX_KEYS) return "the key set has more than 16 keys";
  if (keys.some((key) => SECRET.some((name) => key.has(name)))) {
    return "the key set contains a secret key";
  }
  const kids = keys.filter((key) => key.has("kid")).map((key) => same(key.get("kid")));
  if (new Set(kids).size < kids.length) return "two keys of the key set have the same kid";
  /** @type {KeySet} */
  const set = new Map();
  for (const key of keys) {
    const x = usable(key);
    if (x) set.set(/** @type {string} */ (key.get("kid")), x);
  }
  return set.size > 0 ? set : "the key set has no usable key";
}

/** @param {KeySet} set */
export function writeKeySet(set) {
  const keys = [...set].map(([kid, x]) => ({
    kty: "OKP",
    crv: "Ed25519",
    use: "sig",
    kid,
    x: encode(x),
  }));
  return { keys };
}

/** @param {Members} key */
function usable(key) {
  if (key.get("kty") !== "OKP" || key.get("crv") !== "Ed25519" || !mayVerify(key)) return null;
  const text = key.get("x");
  const x = typeof text === "string" ? decode(text) : null;
  if (x === null || !isPoint(x)) return null;
  const thumbprint = encode(sha256(`{"crv":"Ed25519","kty":"OKP","x":"${text}"}`));
  return key.get("kid") === thumbprint ? x : null;
}

/**
 * Each of these may be absent; each that is there must allow it.
 *
 * @param {Members} key
 */
function mayVerify(key) {
  const ops = key.get("key_ops");
  return (
    (!key.has("use") || key.get("use") === "sig") &&
    (!key.has("alg") || isAlgorithm(key.get("alg"))) &&
    (!key.has("key_ops") || (Array.isArray(ops) && ops.includes("verify")))
  );
}

/**
 * What is equal for equal values, whatever they are.
 *
 * @param {unknown} value
 */
const same = (value) =>
  JSON.stringify(value, (_, inner) => (inner instanceof Map ? { map: [...inner] } : inner));

const SECRET = ["d", "k", "priv"];

/** The core's limits; see `shared-claims/src/limits.rs`. */
const MAX_BYTES = 64 * 1024;
const MAX_KEYS = 16;
