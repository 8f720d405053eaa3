/**
 * Makes a verifier for the access tokens of one issuer. It returns at once; what it needs is
 * fetched when the first token comes, and again before it is too old.
 *
 * Make one and keep it: it holds the keys, and each has a WebAssembly memory of its own.
 *
 * ```js
 * import { createVerifier, VerifyError } from "@tollgate/verifier";
 *
 * const verifier = createVerifier({
 *   issuer: "https://id.example.com",
 *   audience: "orders",
 *   jwksUri: "https://id.example.com/.well-known/jwks.json",
 *   revocationsUri: "https://id.example.com/.well-known/revocations",
 * });
 *
 * try {
 *   const claims = await verifier.verify(token);
 *   console.log(`hello ${claims.sub}`);
 * } catch (error) {
 *   if (!(error instanceof VerifyError)) throw error;
 *   console.log(error.code); // "expired", "revoked", "wrong_audience", …
 * }
 * ```
 *
 * @throws TypeError when an option is missing, unknown or out of range; it says what to do.
 */
export function createVerifier(options: VerifierOptions): Verifier;

/** What a verifier demands of tokens, and where it learns about keys and revocations. */
export type VerifierOptions = PolicyOptions & RuntimeOptions & (FetchedKeys | GivenKeys);

/** What every token must say. There are no defaults for whom to trust. */
export interface PolicyOptions {
  /** The claim `iss` must be this text, character by character. */
  issuer: string;

  /** The claim `aud` must name this, or one of these. */
  audience: string | readonly string[];

  /**
   * Seconds by which the issuer's clock and this one may differ: 0 to 120.
   *
   * @default 30
   */
  leeway?: number;

  /**
   * Where the issuer's revocation feed is. With it, tokens of sessions that were ended are
   * refused within about two seconds while the verifier is in use, and within 30 seconds at the
   * first call after a pause. The feed's own keys are taken from `feed-jwks.json` beside it.
   *
   * While the feed cannot be reached tokens are judged by what was last known; see
   * {@link VerifierState} to be alarmed about that. Without this option revocation is not
   * checked, and a token is good until it expires.
   *
   * https, or http on this machine.
   */
  revocationsUri?: string | URL;
}

/** Keys that are fetched and kept fresh. */
export interface FetchedKeys {
  /**
   * Where the issuer's key set is. Fetched at the first token, refreshed in the background
   * after 5 minutes, used for at most an hour while the issuer is away, and asked for once more,
   * at most every 30 seconds, when a token names a key that is not in it.
   *
   * https, or http on this machine.
   */
  jwksUri: string | URL;
  jwks?: undefined;
}

/** Keys that are given once and never change. */
export interface GivenKeys {
  /** The issuer's key set. */
  jwks: JsonWebKeySet;
  jwksUri?: undefined;
}

/** What a verifier uses of its surroundings. For tests, mostly. */
export interface RuntimeOptions {
  /**
   * The time in seconds since 1970.
   *
   * @default () => Date.now() / 1000
   */
  clock?: () => number;

  /**
   * Used in place of the global `fetch`.
   *
   * @default fetch
   */
  fetch?: typeof fetch;
}

/** Verifies tokens. Its functions can be passed around without it. */
export interface Verifier {
  /**
   * Verifies a token and returns its claims, frozen.
   *
   * ```js
   * const claims = await verifier.verify(request.headers.get("authorization").slice("Bearer ".length));
   * ```
   *
   * @param token The token alone, without `Bearer `.
   * @throws VerifyError when the token is refused, or cannot be judged (`keys_unavailable`).
   */
  verify(this: void, token: string): Promise<AccessClaims>;

  /**
   * Verifies a token without waiting for anything, with the keys and revocations at hand. What
   * has to be fetched is fetched in the background.
   *
   * ```js
   * await verifier.ready();
   * const claims = verifier.verifySync(token);
   * ```
   *
   * @param token The token alone, without `Bearer `.
   * @throws VerifyError as `verify` does; `keys_unavailable` also until the WebAssembly module,
   * the keys and, with `revocationsUri`, the first revocations are there, and for a token that
   * names a new key until that was looked up.
   */
  verifySync(this: void, token: string): AccessClaims;

  /**
   * Resolves when all is there that verifying needs, fetching it if it must.
   *
   * ```js
   * await verifier.ready(); // before the server starts to listen
   * ```
   *
   * @throws VerifyError with `keys_unavailable` when it cannot be had.
   */
  ready(this: void): Promise<void>;

  /**
   * The fetched keys, to start another verifier with; `null` while there are none.
   *
   * ```js
   * await kv.put("keys", JSON.stringify(verifier.exportJwks()));
   * ```
   */
  exportJwks(this: void): KeySetCopy | null;

  /**
   * Starts with keys that another verifier has exported. They age from when the issuer sent
   * them; older ones than those at hand change nothing.
   *
   * Whoever can write the copy can sign tokens: keep it where only you can write.
   *
   * ```js
   * verifier.importJwks(JSON.parse(await kv.get("keys")));
   * ```
   *
   * @throws TypeError when it is not a copy, or its key set is not usable.
   */
  importJwks(this: void, copy: KeySetCopy): void;

  /**
   * How the verifier is, for a status page.
   *
   * ```js
   * const { keys, revocations } = verifier.state();
   * console.log(keys.state, keys.ageSeconds, revocations?.ageSeconds);
   * ```
   */
  state(this: void): VerifierState;
}

/** The claims of an access token, by their names in the token. Times are seconds since 1970. */
export interface AccessClaims {
  /** Who issued it. */
  readonly iss: string;
  /** The user. */
  readonly sub: string;
  /** Whom it is for. */
  readonly aud: string | readonly string[];
  /** From this second on it is void. */
  readonly exp: number;
  /** When it was issued. */
  readonly iat: number;
  /** The id of this token. */
  readonly jti: string;
  /** The session it was issued in. */
  readonly sid: string;
  /** Before this second it is void. */
  readonly nbf?: number;
  /** The user's e-mail address; worth nothing unless `email_verified` is true. */
  readonly email?: string;
  /** Whether the user has proven that the address is theirs. */
  readonly email_verified?: boolean;
  /** What the user may do. */
  readonly role?: string;
  /** Who acts in the user's place (RFC 8693, section 4.1): an admin who helps. It changes no verdict. */
  readonly act?: { readonly sub: string };
  /** Whatever else the issuer has signed. */
  readonly [claim: string]: unknown;
}

/** A JSON Web Key Set (RFC 7517, section 5). */
export interface JsonWebKeySet {
  readonly keys: readonly object[];
}

/** Keys and when they came from the issuer. */
export interface KeySetCopy {
  readonly jwks: JsonWebKeySet;
  /** Seconds since 1970. */
  readonly fetchedAt: number;
}

/** How a verifier is. */
export interface VerifierState {
  /** Whether the WebAssembly module is there. */
  readonly wasm: "loading" | "ready";
  readonly keys: {
    /**
     * `given`: by the option `jwks`. `empty`: nothing fetched yet. `fresh`: younger than 5
     * minutes. `soft_stale`: due for a refresh. `degraded`: the last attempt failed, and the keys
     * are used until they are an hour old. `hard_stale`: older, and not used.
     */
    readonly state: "given" | "empty" | "fresh" | "soft_stale" | "degraded" | "hard_stale";
    /** Seconds since they came from the issuer. */
    readonly ageSeconds: number | null;
    /** The ids of the usable keys. */
    readonly kids: readonly string[];
  };
  /** `null` without `revocationsUri`; members are `null` until the first document is there. */
  readonly revocations: {
    /** Raised when the issuer's database went back in time. */
    readonly epoch: number | null;
    /** The number of the last revocation known. */
    readonly seq: number | null;
    /** Seconds since the instant up to which all revocations are known. */
    readonly ageSeconds: number | null;
  } | null;
  /**
   * How often the fast arithmetic contradicted the library, whose verdict is the one that counts.
   * After the first time only the library is asked. Above 0: please report it.
   */
  readonly alarms: number;
}

/**
 * Why a token was not accepted.
 *
 * ```js
 * if (error instanceof VerifyError && error.code === "keys_unavailable") {
 *   response.status(503).set("Retry-After", String(error.retryAfter));
 * }
 * ```
 */
export class VerifyError extends Error {
  private constructor();
  readonly name: "VerifyError";
  /** Stable, and the same in every runtime and language. */
  readonly code: VerifyErrorCode;
  /** The claim, with `missing_claim` and `invalid_claim`. */
  readonly claim?: string;
  /** Seconds after which to try again, with `keys_unavailable`. */
  readonly retryAfter?: number;
}

/**
 * Every reason there is. All but `keys_unavailable`, which is no fault of the token (HTTP 503),
 * mean that it is not good (HTTP 401).
 */
export type VerifyErrorCode =
  | "malformed"
  | "too_large"
  | "unsupported_algorithm"
  | "unsupported_type"
  | "critical_header"
  | "missing_key_id"
  | "unknown_key"
  | "bad_signature"
  | "missing_claim"
  | "invalid_claim"
  | "wrong_issuer"
  | "wrong_audience"
  | "expired"
  | "not_yet_valid"
  | "issued_in_future"
  | "lifetime_too_long"
  | "revoked"
  | "keys_unavailable";
