/** @import { VerifyErrorCode } from "../index.js" */

/**
 * Why a token was not accepted. See `index.d.ts`.
 */
export class VerifyError extends Error {
  /** @type {VerifyErrorCode} */
  code;

  /**
   * @param {VerifyErrorCode} code
   * @param {{ detail?: string, retryAfter?: number, cause?: unknown }} [more]
   */
  constructor(code, { detail, retryAfter, cause } = {}) {
    super(
      detail ? `${MESSAGES[code]} (${detail})` : MESSAGES[code],
      cause === undefined ? {} : { cause },
    );
    this.code = code;
    if (detail && CLAIM_CODES.has(code)) this.claim = detail;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /**
   * One program can hold several copies of this package: an import beside a `require`, two
   * bundles. Each knows the errors of all.
   *
   * @param {unknown} value
   */
  static [Symbol.hasInstance](value) {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

// On the prototype and not enumerable, as the names of the built-in errors are.
Object.defineProperty(VerifyError.prototype, "name", {
  value: "VerifyError",
  configurable: true,
  writable: true,
});

/**
 * The error for a refusal in the core's words: a code, or a code with its detail in parentheses.
 *
 * @param {string} words
 */
export function refusal(words) {
  const [code, detail] = words.split(" (");
  return new VerifyError(/** @type {VerifyErrorCode} */ (code), { detail: detail?.slice(0, -1) });
}

/**
 * Keys, revocations or the module itself cannot be had at present.
 *
 * @param {number} [retryAfter] seconds
 * @param {{ detail?: string, cause?: unknown }} [more]
 */
export function unavailable(retryAfter = 1, more = {}) {
  return new VerifyError("keys_unavailable", { ...more, retryAfter });
}

const BRAND = Symbol.for("@tollgate/verifier/VerifyError");

/** Codes whose detail is the name of a claim. */
const CLAIM_CODES = new Set(["missing_claim", "invalid_claim"]);

/** @type {Record<VerifyErrorCode, string>} */
const MESSAGES = {
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
  keys_unavailable: "what is needed to verify cannot be had at present; try again",
};
