/**
 * What `createAuthClient` is given, checked once.
 *
 * @import { AuthClientOptions, AuthStorage } from "../../types/client.js"
 */

import { isLoopback } from "../backend/loopback.mjs";
import { memoryStorage } from "./storage.mjs";

/**
 * @param {AuthClientOptions} options
 */
export function checkOptions(options) {
  const {
    baseUrl,
    storage = memoryStorage(),
    key = "tollgate",
    origins = [],
    fetch: own,
  } = options;
  const base = URL.canParse(String(baseUrl)) ? new URL(String(baseUrl)) : null;
  demand(base !== null, "needs baseUrl: where the issuer is");
  demand(
    base.protocol === "https:" || (base.protocol === "http:" && isLoopback(base.hostname)),
    "needs baseUrl to be https; http is for this machine only",
  );
  demand(
    typeof storage?.getItem === "function" &&
      typeof storage.setItem === "function" &&
      typeof storage.removeItem === "function",
    "needs storage to have getItem, setItem and removeItem, as localStorage does",
  );
  const page = globalThis.location?.href;
  const trusted = new Set([base.origin, ...origins.map((origin) => new URL(origin).origin)]);
  if (page) trusted.add(new URL(page).origin);
  return {
    base: base.href.replace(/\/$/, ""),
    key,
    storage: /** @type {AuthStorage} */ (storage),
    fetch: own ?? /** @type {typeof fetch} */ ((input, init) => globalThis.fetch(input, init)),
    /** @param {RequestInfo | URL} input */
    resolve: (input) => (input instanceof Request ? input : new URL(input, page)),
    /** @param {string} url */
    demandTrusted: (url) =>
      demand(
        trusted.has(new URL(url).origin),
        `does not send the token to ${new URL(url).origin}: list it in origins if it may have it`,
      ),
  };
}

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new TypeError(`createAuthClient ${otherwise}`);
}
