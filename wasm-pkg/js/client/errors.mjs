/** Why the issuer did not do what it was asked. See `types/client.d.ts`. */
export class AuthError extends Error {
  /**
   * @param {string} code
   * @param {{ status?: number, detail?: string, errors?: readonly object[], retryAfter?: number, cause?: unknown }} [more]
   */
  constructor(code, { status = 0, detail, errors, retryAfter, cause } = {}) {
    super(detail ?? code, cause === undefined ? {} : { cause });
    this.name = "AuthError";
    this.code = code;
    this.status = status;
    if (errors) this.errors = errors;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** @param {unknown} value */
  static [Symbol.hasInstance](value) {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

const BRAND = Symbol.for("@tollgate/verifier/AuthError");
