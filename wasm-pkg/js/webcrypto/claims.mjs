/**
 * The rules for claims, in their order: `shared-claims/src/claims.rs` and `verifier.rs`.
 *
 * @import { Members, Value } from "./json.mjs"
 */

import { integer } from "./json.mjs";
import { Refused } from "./jws.mjs";

/**
 * What every token must say.
 *
 * @typedef {{ issuer: string, audiences: readonly string[], leewaySecs: number }} Policy
 */

/**
 * @param {Members} payload
 * @param {Policy} policy
 * @param {number} now seconds
 */
export function checkClaims(payload, { issuer, audiences, leewaySecs }, now) {
  const { iss, sub, aud, exp, iat, sid, nbf } = readClaims(payload);
  if (iss !== issuer) throw new Refused("wrong_issuer");
  if (!aud.some((/** @type {string} */ name) => audiences.includes(name)))
    throw new Refused("wrong_audience");
  if (now >= exp + leewaySecs) throw new Refused("expired");
  if (nbf > now + leewaySecs) throw new Refused("not_yet_valid");
  if (iat > now + leewaySecs) throw new Refused("issued_in_future");
  if (exp - iat > MAX_LIFETIME_SECS) throw new Refused("lifetime_too_long");
  return { sub, sid, iat };
}

/**
 * All that must be there are looked for before the form of any is judged.
 *
 * @param {Members} payload
 */
function readClaims(payload) {
  for (const name of REQUIRED) {
    if (!payload.has(name)) throw new Refused(`missing_claim (${name})`);
  }
  /** @type {any} */
  const claims = {};
  for (const [name, read] of Object.entries(FORMS)) {
    if (!payload.has(name)) continue;
    claims[name] = read(payload.get(name));
    if (claims[name] === undefined) throw new Refused(`invalid_claim (${name})`);
  }
  return claims;
}

/**
 * An empty name names nobody.
 *
 * @param {Value | undefined} value
 */
const text = (value) => (typeof value === "string" && value !== "" ? value : undefined);

/** @param {Value | undefined} value */
const flag = (value) => (typeof value === "boolean" ? value : undefined);

/** @param {Value | undefined} value */
function audience(value) {
  const names = Array.isArray(value) ? value : [value];
  return names.every((name) => text(name) !== undefined) ? names : undefined;
}

const REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti", "sid"];

/** In the order in which they are judged. */
const FORMS = {
  iss: text,
  sub: text,
  aud: audience,
  exp: integer,
  iat: integer,
  jti: text,
  sid: text,
  nbf: integer,
  email: text,
  email_verified: flag,
  role: text,
};

/** `DEFAULT_MAX_LIFETIME_SECS` of `shared-claims/src/limits.rs`. */
const MAX_LIFETIME_SECS = 3600;
