/**
 * The one access token of a request.
 *
 * @import { Incoming } from "./incoming.mjs"
 */

import { foreignOrigin, multipleTokens } from "./refusal.mjs";

/**
 * `null` when there is none. Never from the query: addresses end up in logs.
 *
 * @param {Incoming} incoming
 * @param {{ name: string, origins: readonly string[] } | null} cookie
 */
export function tokenOf(incoming, cookie) {
  const sent = bearerTokens(incoming);
  const stored = cookie === null ? [] : cookieValues(incoming, cookie.name);
  if (sent.length + stored.length > 1) throw multipleTokens();
  if (stored.length === 1) demandOrigin(incoming, /** @type {any} */ (cookie).origins);
  return sent[0] ?? stored[0] ?? null;
}

/**
 * RFC 6750, section 2.1. Of another scheme, the header is no business of ours. The web platform
 * makes one value of two headers, with a comma between them.
 *
 * @param {Incoming} incoming
 */
function bearerTokens({ header }) {
  return header("authorization")
    .flatMap((value) => value.split(/,\s*(?=bearer )/i))
    .map((value) => /^bearer +(.*)$/i.exec(value.trim())?.[1])
    .filter((token) => token !== undefined);
}

/**
 * @param {Incoming} incoming
 * @param {string} name
 */
function cookieValues({ header }, name) {
  return header("cookie")
    .flatMap((value) => value.split(";"))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

/**
 * A browser sends cookies along whoever makes it ask, so what changes something must come from
 * a page that is on the list, and so must an upgrade, which no preflight protects.
 *
 * @param {Incoming} incoming
 * @param {readonly string[]} origins
 */
function demandOrigin({ method, header }, origins) {
  if (SAFE_METHODS.includes(method) && header("upgrade").length === 0) return;
  const sent = header("origin");
  if (sent.length !== 1 || !origins.includes(/** @type {string} */ (sent[0])))
    throw foreignOrigin();
}

const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];
