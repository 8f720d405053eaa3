/**
 * Keys that are fetched, kept fresh, and used for a while when the issuer is away: the rules and
 * bounds of `shared-claims/src/key_cache.rs`, told by promises. On Workers, where no request may
 * wait for the promise of another, the module takes the place of all this.
 *
 * @import { KeySet } from "./key_set.mjs"
 */

import { unavailable } from "../errors.mjs";
import { HARD_MS, REFETCH_EVERY_MS, SOFT_MS } from "./bounds.mjs";
import { Refused } from "./jws.mjs";
import { readKeySet, writeKeySet } from "./key_set.mjs";
import { Backoff, since } from "./time.mjs";

export class KeyCache {
  /** @type {KeySet | null} */
  #given = null;

  /** @type {{ keys: KeySet, fetchedAt: number } | null} */
  #held = null;

  /** @type {Promise<void> | null} */
  #loading = null;

  #attemptedAt = -Infinity;
  #backoff = new Backoff(60_000);
  #fetch;
  #now;

  /**
   * @param {() => Promise<Uint8Array>} fetch the document, empty when none could be had
   * @param {() => number} now
   */
  constructor(fetch, now) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /**
   * Uses these keys and no others.
   *
   * @param {Uint8Array} document
   * @returns {string} why not
   */
  give(document) {
    const keys = readKeySet(document);
    if (typeof keys === "string") return keys;
    this.#given = keys;
    return "";
  }

  /**
   * A look, at most one load, and another look. "Unknown key" is said only when the issuer's
   * present set could be looked at.
   *
   * @param {string} [kid] nothing when any key will do
   * @returns {Promise<any>} the key
   */
  async find(kid) {
    for (let mayLoad = !this.#given; ; mayLoad = false) {
      const now = this.#now();
      const keys = this.usable(now);
      const key = kid ? keys?.get(kid) : keys;
      if (key) {
        if (this.#isStale(now) && this.#backoff.waitMs(now) === 0) this.#load();
        return key;
      }
      const pauseMs = this.#pauseMs(now, keys);
      if (mayLoad && (this.#loading || pauseMs === 0)) await this.#load();
      // `Retry-After` is never 0, which clients take as leave to hammer.
      else if (!keys || this.#backoff.isFailing) throw unavailable(Math.ceil(pauseMs / 1000) || 1);
      else throw new Refused("unknown_key");
    }
  }

  /**
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @returns {string} why not
   */
  import(document, fetchedAt) {
    const keys = readKeySet(document);
    if (typeof keys === "string") return keys;
    const now = this.#now();
    // A late answer must not undo a newer one that is still of use.
    const isNews =
      this.usable(now) === null || fetchedAt > /** @type {any} */ (this.#held).fetchedAt;
    if (isNews && since(now, fetchedAt) < HARD_MS) this.#held = { keys, fetchedAt };
    return "";
  }

  /** @returns {import("../../index.js").KeySetCopy | null} */
  export() {
    return (
      this.#held && { jwks: writeKeySet(this.#held.keys), fetchedAt: this.#held.fetchedAt / 1000 }
    );
  }

  /**
   * The keys that may be used.
   *
   * @param {number} now
   */
  usable(now) {
    if (this.#given) return this.#given;
    return this.#held && since(now, this.#held.fetchedAt) < HARD_MS ? this.#held.keys : null;
  }

  /**
   * @param {number} now
   * @returns {import("../../index.js").VerifierState["keys"]}
   */
  state(now) {
    const kids = [...(this.usable(now)?.keys() ?? [])];
    if (this.#given) return { state: "given", ageSeconds: null, kids };
    if (this.#held === null) return { state: "empty", ageSeconds: null, kids };
    const age = since(now, this.#held.fetchedAt);
    const used = this.#backoff.isFailing ? "degraded" : this.#isStale(now) ? "soft_stale" : "fresh";
    return { state: age < HARD_MS ? used : "hard_stale", ageSeconds: Math.floor(age / 1000), kids };
  }

  /** @param {number} now */
  #isStale(now) {
    return this.#held !== null && since(now, this.#held.fetchedAt) >= SOFT_MS;
  }

  /**
   * Milliseconds until a load may be caused by an id; an invented one has a budget.
   *
   * @param {number} now
   * @param {KeySet | null} keys
   */
  #pauseMs(now, keys) {
    const budgetMs = keys ? REFETCH_EVERY_MS - since(now, this.#attemptedAt) : 0;
    return Math.max(0, budgetMs, this.#backoff.waitMs(now));
  }

  #load() {
    this.#loading ??= this.#loadNow().finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** An attempt is counted when it starts, whatever becomes of it. */
  async #loadNow() {
    const fetchedAt = this.#now();
    this.#attemptedAt = fetchedAt;
    if (this.import(await this.#fetch(), fetchedAt)) this.#backoff.failed(this.#now());
    else this.#backoff.succeeded();
  }
}
