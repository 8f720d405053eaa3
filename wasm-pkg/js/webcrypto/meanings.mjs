/** What refusals mean, as `shared-claims/src/error.rs` says it, for those who have no core. */

import { refusal } from "../errors.mjs";

/**
 * The error for a refusal: a code, or a code with its detail in parentheses.
 *
 * @param {string} words
 */
export const refusalOf = (words) => refusal(`${words}: ${MEANINGS[words.split(" ")[0]]}`);

/** @type {Record<string, string>} */
export const MEANINGS = {
  malformed: "the token is not one",
  too_large: "the token is larger than 8 KiB",
  unsupported_algorithm: "the token is not signed with Ed25519",
  unsupported_type: "the token is not an access token",
  critical_header: "the token's header demands an extension or brings its own key",
  missing_key_id: "the token does not name its key",
  unknown_key: "the issuer has no such key",
  bad_signature: "the signature is not by the key that the token names",
  missing_claim: "a claim is missing",
  invalid_claim: "a claim has the wrong form",
  wrong_issuer: "the token is from another issuer",
  wrong_audience: "the token is for somebody else",
  expired: "the token has expired",
  not_yet_valid: "the token is not valid yet",
  issued_in_future: "the token was issued in the future; compare the clocks",
  lifetime_too_long: "the token is valid for longer than tokens may be",
  revoked: "the token was revoked",
};
