/**
 * Every way a guard says no, as problem documents (RFC 9457): the same codes, statuses and
 * headers as the gateway's.
 */

/** @import { VerifyError } from "../errors.mjs" */

/**
 * @typedef {object} Reason
 * @property {number} status
 * @property {string} title
 * @property {string} detail
 * @property {string} [challenge] the header `WWW-Authenticate`
 * @property {number} [retryAfter] seconds
 * @property {object} [members] what else the document says
 */

/** Why a request is not let through. See `types/backend.d.ts`. */
export class Refusal extends Error {
  /**
   * @param {string} code
   * @param {Reason} reason
   * @param {unknown} [cause]
   */
  constructor(code, { status, title, detail, challenge, retryAfter, members }, cause) {
    super(detail, cause === undefined ? {} : { cause });
    this.name = "Refusal";
    this.code = code;
    this.status = status;
    /** Express answers errors that nobody else answers with this status. */
    this.statusCode = status;
    /** @type {Record<string, string>} */
    this.headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
    if (challenge) this.headers["www-authenticate"] = challenge;
    if (retryAfter !== undefined) this.headers["retry-after"] = String(retryAfter);
    const type = `urn:tollgate:problem:${code}`;
    this.problem = { type, title, status, detail, code, ...members };
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** For frameworks that answer with what the web platform calls a response. */
  toResponse() {
    const { status, headers, problem } = this;
    return new Response(JSON.stringify(problem), { status, headers });
  }

  /**
   * One program can hold several copies of this package; each knows the refusals of all.
   *
   * @param {unknown} value
   */
  static [Symbol.hasInstance](value) {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

export const missingToken = () =>
  new Refusal("missing_token", {
    status: 401,
    title: "An access token is needed.",
    detail: "Send the header Authorization: Bearer with an access token.",
    challenge: CHALLENGE,
  });

export const multipleTokens = () =>
  new Refusal("multiple_tokens", {
    status: 400,
    title: "Exactly one access token is accepted.",
    detail: "Send the token in one place, once.",
  });

export const foreignOrigin = () =>
  new Refusal("forbidden", {
    status: 403,
    title: "This is not allowed.",
    detail: "With a cookie, this method needs an Origin header that is on the list.",
  });

export const insufficientScope = () =>
  new Refusal("insufficient_scope", {
    status: 403,
    title: "The role does not allow this.",
    detail: "The route is for other roles than the token's.",
    challenge: `${CHALLENGE}, error="insufficient_scope"`,
  });

/**
 * The answer to a token that the verifier did not accept.
 *
 * @param {VerifyError} error
 */
export function tokenRefused(error) {
  if (error.code === "keys_unavailable") {
    return new Refusal(
      error.code,
      {
        status: 503,
        title: "Tokens cannot be verified at present.",
        detail: "The issuer's keys cannot be fetched; try again.",
        retryAfter: error.retryAfter ?? 1,
      },
      error,
    );
  }
  return new Refusal(
    error.code,
    {
      status: 401,
      title: "The access token is not accepted.",
      detail: `${error.message[0]?.toUpperCase()}${error.message.slice(1)}.`,
      challenge: `${CHALLENGE}, error="invalid_token"`,
    },
    error,
  );
}

/**
 * What the issuer said about credits, passed on: its code, its status, its words.
 *
 * @param {number} status
 * @param {{ code: string, title: string, detail: string, balance?: number }} problem
 * @param {number} [retryAfter]
 */
export const issuerRefused = (status, { code, title, detail, balance }, retryAfter) =>
  new Refusal(code, {
    status,
    title,
    detail,
    retryAfter,
    // The token was good until a moment ago.
    challenge: status === 401 ? `${CHALLENGE}, error="invalid_token"` : undefined,
    members: balance === undefined ? {} : { balance },
  });

/** @param {unknown} [cause] */
export const issuerAway = (cause) =>
  new Refusal(
    "unavailable",
    {
      status: 503,
      title: "The credit account cannot be reached at present.",
      detail: "Nothing was done; try again.",
      retryAfter: 1,
    },
    cause,
  );

const BRAND = Symbol.for("@tollgate/verifier/Refusal");

/** A fixed realm: what a request says has no place in an answer's headers. */
const CHALLENGE = 'Bearer realm="tollgate"';
