/** Signing in, staying signed in, and requests that carry the token: in browsers, apps and servers. */

/**
 * Makes a client of one issuer.
 *
 * ```js
 * import { createAuthClient } from "@tollgate/verifier/client";
 *
 * const auth = createAuthClient({ baseUrl: "https://id.example.com", storage: localStorage });
 * await auth.login({ email, password });
 * const response = await auth.fetch("https://api.example.com/orders");
 * ```
 *
 * Pages of one origin that are open several times share their credentials through the storage.
 *
 * @throws TypeError when an option is missing or out of range.
 */
export function createAuthClient(options: AuthClientOptions): AuthClient;

export interface AuthClientOptions {
  /** Where the issuer is. https, or http on this machine. */
  baseUrl: string | URL;

  /**
   * Where credentials are kept: `localStorage`, `sessionStorage`, `memoryStorage()`,
   * `cookieStorage(…)`, or anything with these three functions, such as a phone's key chain.
   *
   * What scripts of a page can read, a script that got in can, too. Where that is too much, sign
   * in with `?mode=cookie` and let the gateway read the cookie.
   *
   * @default memoryStorage()
   */
  storage?: AuthStorage;

  /** The name the credentials have in the storage. @default "tollgate" */
  key?: string;

  /**
   * Origins besides the issuer's and the page's own that `fetch` may send the token to.
   *
   * @default []
   */
  origins?: readonly string[];

  /** @default the global `fetch` */
  fetch?: typeof fetch;
}

/** As of `localStorage`; the functions may return promises. */
export interface AuthStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}

/** Its functions can be passed around without it. */
export interface AuthClient {
  /** @throws AuthError with the issuer's code, such as `email_taken` or `validation_failed`. */
  register(
    this: void,
    person: { email: string; password: string; name?: string },
  ): Promise<{ user: Account }>;

  /**
   * Signs in, or says what else has to be shown.
   *
   * ```js
   * let login = await auth.login({ email, password });
   * if (login.twoFactorRequired) {
   *   login = await auth.finishLogin({ challengeToken: login.challengeToken, code: prompt("Code") });
   * }
   * console.log(`hello ${login.user.email}`);
   * ```
   *
   * @throws AuthError `invalid_credentials`, `rate_limited`, ….
   */
  login(
    this: void,
    credentials: { email: string; password: string; deviceId?: string; deviceName?: string },
  ): Promise<Login>;

  /** The second step: with a code of the app, or a recovery code. */
  finishLogin(
    this: void,
    proof: { challengeToken: string } & ({ code: string } | { recoveryCode: string }),
  ): Promise<SignedIn>;

  /**
   * Signs out: here in any case; `revoked` says whether the issuer knows, too.
   *
   * ```js
   * const { revoked } = await auth.logout();
   * ```
   */
  logout(this: void): Promise<{ revoked: boolean }>;

  /** Who is signed in; `null` for nobody. Asks the storage and nobody else. */
  session(this: void): Promise<Session | null>;

  /**
   * An access token that is good for a while, refreshed if it must be; `null` when nobody is
   * signed in.
   *
   * @throws AuthError `unavailable` when it has expired and the issuer cannot be reached.
   */
  accessToken(this: void): Promise<string | null>;

  /** Refreshes now, whatever the age of the access token. @throws AuthError */
  refresh(this: void): Promise<void>;

  /**
   * `fetch` with the access token. An answer of 401 is followed by one refresh and one more try.
   * Without anybody signed in the request goes out without a token.
   *
   * @throws TypeError for an origin that may not have the token; see `origins`.
   */
  fetch(this: void, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;

  /**
   * Listens; returns what ends it.
   *
   * ```js
   * const stop = auth.on("signedOut", ({ reason }) => location.assign(`/login?why=${reason}`));
   * ```
   */
  on<Name extends keyof AuthEvents>(
    this: void,
    name: Name,
    listener: (event: AuthEvents[Name]) => void,
  ): () => void;

  /** Listens to nothing any more. Nobody is signed out. */
  close(this: void): void;
}

/** What `on` tells. */
export interface AuthEvents {
  /** Here, or in another tab that shares `localStorage`. */
  signedIn: { readonly user: Account };
  /**
   * `logout`: by this client. `session_revoked`, `refresh_token_reused`: by the issuer.
   * `elsewhere`: in another tab.
   */
  signedOut: {
    readonly user: Account | undefined;
    readonly reason: "logout" | "session_revoked" | "refresh_token_reused" | "elsewhere";
  };
  /** There is a new access token. */
  refreshed: { readonly user: Account };
  /** There is none, and the person is still signed in: the issuer could not be reached, or refused for a time. */
  refreshFailed: { readonly error: unknown };
}

export type Login =
  | SignedIn
  | {
      readonly twoFactorRequired: true;
      readonly challengeToken: string;
      readonly methods: readonly string[];
    };

export interface SignedIn {
  readonly twoFactorRequired: false;
  readonly user: Account;
}

export interface Session {
  readonly user: Account;
  readonly accessTokenExpiresAt: Date;
}

/** A person as the issuer describes them. */
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly name: string | null;
  readonly role: string;
  readonly emailVerified: boolean;
  readonly createdAt: string;
}

/** Forgets everything with the page or the process. */
export function memoryStorage(): AuthStorage;

/**
 * Cookies of a server that signs in for its pages, through whatever functions the framework has.
 * The cookie is `__Host-tollgate`: `HttpOnly`, `Secure`, `SameSite=Lax`.
 *
 * ```js
 * const jar = await cookies(); // Next
 * const auth = createAuthClient({ baseUrl, storage: cookieStorage(jar) });
 * ```
 */
export function cookieStorage(jar: CookieJar, options?: { maxAgeSeconds?: number }): AuthStorage;

export interface CookieJar {
  get(
    name: string,
  ): string | { value: string } | undefined | null | Promise<string | undefined | null>;
  set(
    name: string,
    value: string,
    attributes: {
      path: string;
      httpOnly: boolean;
      secure: boolean;
      sameSite: "lax";
      maxAge: number;
    },
  ): unknown;
}

/** Why the issuer did not do what it was asked. */
export class AuthError extends Error {
  private constructor();
  readonly name: "AuthError";
  /** The issuer's code (docs/errors.md), or `unavailable` when there was no answer of its own. */
  readonly code: string;
  /** 0 when there was no answer. */
  readonly status: number;
  /** With `validation_failed`. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  /** Seconds after which to try again. */
  readonly retryAfter?: number;
}
