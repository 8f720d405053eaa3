/**
 * What every verifier checks of what it is handed.
 *
 * @import { KeySetCopy } from "../index.js"
 */

import { VerifyError } from "./errors.mjs";

/** @param {unknown} token */
export function checkToken(token) {
  if (typeof token === "string") return;
  throw new VerifyError("malformed", "the token is not one", { detail: "not a string" });
}

/** @param {KeySetCopy} copy */
export function checkCopy(copy) {
  const good =
    Array.isArray(copy?.jwks?.keys) && copy.fetchedAt >= 0 && copy.fetchedAt < MAX_SECONDS;
  if (!good) throw new TypeError("importJwks needs what exportJwks returns: { jwks, fetchedAt }");
}

/** Times have at most twelve digits; `Date.now()` has thirteen. */
export const MAX_SECONDS = 1e12;
