/**
 * Signing in, staying signed in, and requests that carry the token.
 *
 * 1. The storage is the truth: what another tab has written there counts at the next question.
 * 2. Credentials are deleted when the issuer says that their session is over, or when the person
 *    signs out. Nothing else deletes them: no lost race, no failure of the network, no status
 *    from something in between.
 * 3. One refresh is under way at a time, here by a promise and among tabs by a lock; that both
 *    could fail is harmless.
 *
 * @import { AuthClientOptions, AuthEvents, Login, Session, SignedIn } from "../../types/client.js"
 */

import { AuthError } from "./errors.mjs";
import { ask } from "./issuer.mjs";
import { exclusively } from "./lock.mjs";
import { checkOptions } from "./options.mjs";

/**
 * What is kept.
 *
 * @typedef {{ v: 1, refreshToken: string, accessToken: string, expiresAt: number, user: any }} Kept
 */

export class AuthClient {
  #settings;

  /** @type {Promise<Kept> | null} */
  #refreshing = null;

  /** @type {Map<string, Set<(event: any) => void>>} */
  #listeners = new Map();

  /** The refresh token that was last seen: a change of it by another tab is an event. */
  #seen = "";

  #stopWatching;

  /** @param {AuthClientOptions} options */
  constructor(options) {
    this.#settings = checkOptions(options);
    this.#stopWatching = this.#watchOtherTabs();
  }

  /** @param {object} person */
  register(person) {
    return ask(this.#settings, "register", { body: person });
  }

  /**
   * @param {object} credentials
   * @returns {Promise<Login>}
   */
  async login(credentials) {
    const answer = await ask(this.#settings, "login", { body: credentials });
    return answer.twoFactorRequired ? answer : this.#signedIn(answer);
  }

  /**
   * @param {object} proof
   * @returns {Promise<SignedIn>}
   */
  async finishLogin(proof) {
    return this.#signedIn(await ask(this.#settings, "login/second-factor", { body: proof }));
  }

  /** @returns {Promise<{ revoked: boolean }>} */
  async logout() {
    const kept = await this.#load();
    if (kept === null) return { revoked: false };
    await this.#forget(kept, "logout");
    try {
      // By the refresh token, which is good for it whether or not the access token still is.
      await ask(this.#settings, "logout", { body: { refreshToken: kept.refreshToken } });
      return { revoked: true };
    } catch (error) {
      return { revoked: isOver(error) };
    }
  }

  /** @returns {Promise<Session | null>} */
  async session() {
    const kept = await this.#load();
    return kept && { user: kept.user, accessTokenExpiresAt: new Date(kept.expiresAt) };
  }

  /** @returns {Promise<string | null>} */
  async accessToken() {
    const kept = await this.#load();
    if (kept === null) return null;
    if (kept.expiresAt - Date.now() > FRESH_ENOUGH_MS) return kept.accessToken;
    return this.#refreshed(kept).then(
      ({ accessToken }) => accessToken,
      (error) => {
        if (isOver(error)) return null;
        // It may still be good for a moment; whoever is asked with it decides.
        if (kept.expiresAt > Date.now()) return kept.accessToken;
        throw error;
      },
    );
  }

  async refresh() {
    const kept = await this.#load();
    if (kept === null) throw new AuthError("missing_token", { detail: "nobody is signed in" });
    await this.#refreshed(kept);
  }

  /**
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const request = new Request(this.#settings.resolve(input), init);
    this.#settings.demandTrusted(request.url);
    const again = request.clone();
    const token = await this.accessToken();
    const response = await this.#send(request, token);
    if (response.status !== 401 || token === null) return response;
    const fresh = await this.#after(token).catch(() => null);
    if (fresh === null || fresh === token) return response;
    await response.body?.cancel();
    return this.#send(again, fresh);
  }

  /**
   * @template {keyof AuthEvents} Name
   * @param {Name} name
   * @param {(event: AuthEvents[Name]) => void} listener
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  close() {
    this.#stopWatching();
    this.#listeners.clear();
  }

  /**
   * @param {Request} request
   * @param {string | null} token
   */
  #send(request, token) {
    if (token !== null) request.headers.set("authorization", `Bearer ${token}`);
    return this.#settings.fetch(request);
  }

  /**
   * The access token that has followed this one, which was refused.
   *
   * @param {string} refused
   */
  async #after(refused) {
    const kept = await this.#load();
    if (kept === null) return null;
    return kept.accessToken === refused
      ? (await this.#refreshed(kept)).accessToken
      : kept.accessToken;
  }

  /**
   * @param {Kept} known
   * @returns {Promise<Kept>}
   */
  #refreshed(known) {
    this.#refreshing ??= exclusively(this.#settings.key, () => this.#refreshNow(known)).finally(
      () => (this.#refreshing = null),
    );
    return this.#refreshing;
  }

  /**
   * @param {Kept} known
   * @returns {Promise<Kept>}
   */
  async #refreshNow(known) {
    // While this waited for the lock another tab may have done it.
    const kept = await this.#load();
    if (kept === null) throw new AuthError("session_revoked", { status: 401 });
    if (kept.refreshToken !== known.refreshToken && kept.expiresAt > Date.now()) return kept;
    const { refreshToken } = kept;
    const answer = await ask(this.#settings, "refresh", { body: { refreshToken } }).catch((error) =>
      this.#refused(kept, error),
    );
    if (answer.v === 1) return answer;
    // Signed out, or in as somebody else, in the meantime: then this answer is nobody's.
    const now = await this.#load();
    if (now === null) throw new AuthError("session_revoked", { status: 401 });
    if (now.refreshToken !== refreshToken) return now;
    const next = keptOf({ user: kept.user, ...answer });
    await this.#store(next);
    this.#emit("refreshed", { user: next.user });
    return next;
  }

  /**
   * What holds after a refresh that did not succeed, if anything does.
   *
   * @param {Kept} tried
   * @param {unknown} error
   * @returns {Promise<Kept>}
   */
  async #refused(tried, error) {
    const kept = await this.#load();
    // Another tab has won, and this one with it.
    if (kept !== null && kept.refreshToken !== tried.refreshToken) return kept;
    if (isOver(error)) await this.#forget(tried, /** @type {AuthError} */ (error).code);
    else this.#emit("refreshFailed", { error });
    throw error;
  }

  /**
   * @param {any} answer
   * @returns {Promise<SignedIn>}
   */
  async #signedIn(answer) {
    await this.#store(keptOf(answer));
    this.#emit("signedIn", { user: answer.user });
    return { twoFactorRequired: false, user: answer.user };
  }

  /** @returns {Promise<Kept | null>} */
  async #load() {
    const { storage, key } = this.#settings;
    const kept = parse(await storage.getItem(key));
    this.#seen = kept?.refreshToken ?? "";
    return kept;
  }

  /** @param {Kept} kept */
  async #store(kept) {
    const { storage, key } = this.#settings;
    this.#seen = kept.refreshToken;
    await storage.setItem(key, JSON.stringify(kept));
  }

  /**
   * @param {Kept} kept
   * @param {string} reason
   */
  async #forget(kept, reason) {
    const { storage, key } = this.#settings;
    this.#seen = "";
    await storage.removeItem(key);
    this.#emit("signedOut", { user: kept.user, reason });
  }

  /** Browsers tell a page what other pages of its origin do to `localStorage`. */
  #watchOtherTabs() {
    const { storage, key } = this.#settings;
    const page = /** @type {any} */ (globalThis);
    if (typeof page.addEventListener !== "function" || storage !== localStorageOf(page))
      return () => {};
    const listen = (/** @type {StorageEvent} */ event) => {
      if (event.key !== key && event.key !== null) return;
      const [before, after] = [parse(event.oldValue), parse(event.newValue)];
      const known = this.#seen;
      this.#seen = after?.refreshToken ?? "";
      if (after && !before) this.#emit("signedIn", { user: after.user });
      else if (!after && (before || known))
        this.#emit("signedOut", { user: before?.user, reason: "elsewhere" });
    };
    page.addEventListener("storage", listen);
    return () => page.removeEventListener("storage", listen);
  }

  /**
   * @param {string} name
   * @param {object} event
   */
  #emit(name, event) {
    for (const listener of this.#listeners.get(name) ?? []) {
      // One listener's mistake is no reason to leave out the others, or to fail the request.
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/**
 * What to keep of the answer to a login or a refresh.
 *
 * @param {{ user: any, accessToken: string, refreshToken: string, expiresIn: number }} answer
 * @returns {Kept}
 */
const keptOf = ({ user, accessToken, refreshToken, expiresIn }) => ({
  v: 1,
  refreshToken,
  accessToken,
  // By this machine's clock, whether or not it is right.
  expiresAt: Date.now() + expiresIn * 1000,
  user,
});

/**
 * Whatever is not ours is as good as nothing.
 *
 * @param {string | null | undefined} text
 * @returns {Kept | null}
 */
function parse(text) {
  try {
    const kept = JSON.parse(text ?? "null");
    return kept?.v === 1 && typeof kept.refreshToken === "string" ? kept : null;
  } catch {
    return null;
  }
}

/**
 * Reading it throws where storage is switched off.
 *
 * @param {any} page
 */
function localStorageOf(page) {
  try {
    return page.localStorage;
  } catch {
    return undefined;
  }
}

/**
 * The two answers that say that a session is over.
 *
 * @param {unknown} error
 */
const isOver = (error) =>
  error instanceof AuthError && OVER.includes(/** @type {any} */ (error).code);

const OVER = ["session_revoked", "refresh_token_reused"];

/** A request takes a moment to arrive. */
const FRESH_ENOUGH_MS = 30_000;
