/** @import { VerifyErrorCode } from "../index.js" */

const BRAND = Symbol.for("@tollgate/verifier/VerifyError");

/**
 * Why a token was not accepted. See `index.d.ts`.
 */
export class VerifyError extends Error {
  /** @type {VerifyErrorCode} */
  code;

  /**
   * @param {VerifyErrorCode} code
   * @param {string} meaning
   * @param {{ detail?: string, retryAfter?: number, cause?: unknown }} [more]
   */
  constructor(code, meaning, { detail, retryAfter, cause } = {}) {
    super(detail ? `${meaning} (${detail})` : meaning, cause === undefined ? {} : { cause });
    this.code = code;
    if (detail && CLAIM_CODES.has(code)) this.claim = detail;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
  }

  // On the prototype, as the names of the built-in errors are.
  get name() {
    return "VerifyError";
  }

  get [BRAND]() {
    return true;
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

/**
 * The error for a refusal in the core's words: `code: meaning` or `code (detail): meaning`.
 *
 * @param {string} words
 */
export function refusal(words) {
  const [what, meaning] = words.split(": ");
  const [code, detail] = what.split(" (");
  return new VerifyError(/** @type {VerifyErrorCode} */ (code), meaning, {
    detail: detail?.slice(0, -1),
  });
}

/**
 * Keys, revocations or the module itself cannot be had at present.
 *
 * @param {number} [retryAfter] seconds
 * @param {{ detail?: string, cause?: unknown }} [more]
 */
export function unavailable(retryAfter = 1, more = {}) {
  return new VerifyError("keys_unavailable", UNAVAILABLE, { ...more, retryAfter });
}

/** Codes whose detail is the name of a claim. */
const CLAIM_CODES = new Set(["missing_claim", "invalid_claim"]);

const UNAVAILABLE = "what is needed to verify cannot be had at present; try again";
