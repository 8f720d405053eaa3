/**
 * What a revocation document says. See `shared-claims/src/revocations.rs`.
 *
 * @import { Members } from "./json.mjs"
 */

import { decode } from "./base64url.mjs";
import { integer } from "./json.mjs";
import { isKid } from "./jws.mjs";
import { sha256 } from "./sha256.mjs";

/**
 * @typedef {object} Revocations
 * @property {number} epoch
 * @property {number} seq
 * @property {number} asOf
 * @property {Set<string>} denyKids
 * @property {Set<string>} sids
 * @property {Map<string, number>} subs
 * @property {number} rejectBefore
 * @property {number} [base]
 */

/**
 * Reads the payload of a document whose signature was right. Throws the name of the failure.
 *
 * @param {Members} members
 * @param {string} issuer
 * @param {number} now seconds
 * @returns {Revocations}
 */
export function readRevocations(members, issuer, now) {
  const number = (/** @type {string} */ name) => integer(members.get(name)) ?? refuse();
  const optional = (/** @type {string} */ name) => (members.has(name) ? number(name) : undefined);
  if (number("v") !== 1) refuse();
  if (members.get("iss") !== issuer) refuse();
  const [asOf, exp] = [number("asOf"), number("exp")];
  if (now >= exp + LEEWAY_SECS) refuse();
  if (asOf > now + LEEWAY_SECS || exp > asOf + LIFE_SECS) refuse();
  const read = {
    epoch: number("epoch"),
    seq: number("seq"),
    asOf,
    iat: number("iat"),
    denyKids: readKids(members.get("denyKids")),
    sids: new Set(readRecords(members.get("sids"), 8).map(([prefix]) => prefix)),
    subs: new Map(readRecords(members.get("subs"), 12)),
    rejectBefore: optional("rejectBefore") ?? 0,
    base: optional("base"),
  };
  return checkSize(read);
}

/**
 * What is in force after `next`, when `held` was before. Throws the name of the failure.
 *
 * @param {Revocations | null} held
 * @param {Revocations} next
 * @returns {Revocations}
 */
export function updated(held, next) {
  if (held !== null) {
    const isOlder = next.epoch < held.epoch || (next.epoch === held.epoch && next.seq < held.seq);
    if (isOlder || next.asOf < held.asOf) refuse("older");
  }
  if (next.base === undefined) return next;
  if (held === null || next.epoch !== held.epoch || next.base !== held.seq) refuse("wrong_base");
  const subs = new Map(held.subs);
  for (const [prefix, cutOff] of next.subs) {
    subs.set(prefix, Math.max(cutOff, subs.get(prefix) ?? 0));
  }
  return checkSize({
    ...next,
    denyKids: new Set([...held.denyKids, ...next.denyKids]),
    sids: new Set([...held.sids, ...next.sids]),
    subs,
    rejectBefore: Math.max(held.rejectBefore, next.rejectBefore),
    base: undefined,
  });
}

/**
 * @param {Revocations} held
 * @param {string} kid
 * @param {{ sub: string, sid: string, iat: number }} claims
 */
export const isRevoked = (held, kid, { sub, sid, iat }) =>
  held.denyKids.has(kid) ||
  iat < held.rejectBefore ||
  held.sids.has(prefixOf(sid)) ||
  iat < (held.subs.get(prefixOf(sub)) ?? 0);

/** @param {string} id */
const prefixOf = (id) => textOf(sha256(id).subarray(0, 8));

/**
 * One character a byte: compares as the bytes do.
 *
 * @param {Uint8Array} bytes
 */
const textOf = (bytes) => String.fromCharCode(...bytes);

/** @param {unknown} value */
function readKids(value) {
  if (!Array.isArray(value) || !value.every(isKid)) refuse();
  return new Set(/** @type {string[]} */ (value));
}

/**
 * Records end to end, the prefix of each larger than the one before; after it, if there is room,
 * a time.
 *
 * @param {unknown} value
 * @param {number} size
 * @returns {[string, number][]}
 */
function readRecords(value, size) {
  const bytes = typeof value === "string" ? decode(value) : null;
  if (bytes === null || bytes.length % size !== 0) refuse();
  /** @type {[string, number][]} */
  const records = [];
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += size) {
    const prefix = textOf(bytes.subarray(at, at + 8));
    if (at > 0 && prefix <= /** @type {any} */ (records.at(-1))[0]) refuse();
    records.push([prefix, size > 8 ? view.getUint32(at + 8) : 0]);
  }
  return records;
}

/** @param {Revocations} read */
function checkSize(read) {
  const { denyKids, sids, subs } = read;
  return denyKids.size + sids.size + subs.size > MAX_ENTRIES ? refuse("too_large") : read;
}

/**
 * Nobody asks why, unless another document is the cure.
 *
 * @param {string} [why]
 * @returns {never}
 */
function refuse(why = "malformed") {
  throw why;
}

// The bounds of `shared-claims/src/limits.rs`, with their reasons there.
const LEEWAY_SECS = 30;
const LIFE_SECS = 60;
const MAX_ENTRIES = 10_000;
