/**
 * When to fetch the key set, and what to do while there is none. The same machine as
 * `shared-claims/src/key_cache.rs`, whose invariants hold here.
 *
 * @import { KeySet } from "./key_set.mjs"
 */

import { AWAIT_KEYS, REFUSE, UNAVAILABLE, WAIT_FOR_KEYS } from "../core.mjs";
import { readKeySet, writeKeySet } from "./key_set.mjs";
import { Backoff, since } from "./time.mjs";

/**
 * What to do instead of verifying.
 *
 * @typedef {{ what: number, amount?: number, words?: string }} Instead
 */

export class KeyCache {
  /** @type {KeySet | null} */
  #given = null;

  /** @type {{ keys: KeySet, fetchedAt: number } | null} */
  #held = null;

  /** @type {{ ticket: number, began: number } | null} */
  #leader = null;

  /** @type {number | null} */
  #attemptedAt = null;

  #lastTicket = 0;
  #wanted = 0;
  #backoff = new Backoff(60_000);

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
   * The key of this id, or what to do first.
   *
   * @param {string} kid
   * @param {number} now
   * @param {number} waitedMs
   * @returns {Uint8Array<ArrayBuffer> | Instead}
   */
  find(kid, now, waitedMs) {
    if (this.#given) return this.#given.get(kid) ?? UNKNOWN;
    if (this.#leader && since(now, this.#leader.began) >= LEADER_DEAD_MS) this.#leader = null;
    const keys = this.usable(now);
    if (keys === null) return this.#findCold(now, waitedMs);
    const key = keys.get(kid);
    if (key === undefined) return this.#findUnknown(now, waitedMs);
    const isStale = since(now, /** @type {any} */ (this.#held).fetchedAt) >= SOFT_MS;
    if (isStale && this.#leader === null && this.#backoff.waitMs(now) === 0) this.#lead(now);
    return key;
  }

  /**
   * Wants keys if there are none; then says what to do first.
   *
   * @param {number} now
   * @param {number} waitedMs
   * @returns {Instead | null}
   */
  prepare(now, waitedMs) {
    return this.usable(now) ? null : /** @type {Instead} */ (this.find("", now, waitedMs));
  }

  /**
   * The ticket of an errand, which is handed out once; 0 when there is none.
   */
  takeErrand() {
    const ticket = this.#wanted;
    this.#wanted = 0;
    return ticket;
  }

  /**
   * Takes in what was fetched. Nothing in it means that nothing could be had.
   *
   * @param {number} ticket
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @param {number} now
   * @returns {boolean} whether there is anything to use in it
   */
  fetched(ticket, document, fetchedAt, now) {
    const keys = readKeySet(document);
    const isLeader = this.#leader?.ticket === ticket;
    if (isLeader) this.#leader = null;
    if (typeof keys === "string") {
      // The failure of somebody who was given up on changes nothing: another leads by now.
      if (isLeader) this.#backoff.failed(now);
      return document.length === 0;
    }
    if (this.#isNews(now, fetchedAt)) this.#held = { keys, fetchedAt };
    this.#backoff.succeeded();
    return true;
  }

  /**
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @param {number} now
   * @returns {string} why not
   */
  import(document, fetchedAt, now) {
    const keys = readKeySet(document);
    if (typeof keys === "string") return keys;
    if (since(now, fetchedAt) < HARD_MS && this.#isNews(now, fetchedAt))
      this.#held = { keys, fetchedAt };
    return "";
  }

  export() {
    return (
      this.#held && { document: writeKeySet(this.#held.keys), fetchedAt: this.#held.fetchedAt }
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

  /** @param {number} now */
  state(now) {
    const kids = [...(this.usable(now)?.keys() ?? [])];
    if (this.#given) return { state: "given", ageSeconds: null, kids };
    if (this.#held === null) return { state: "empty", ageSeconds: null, kids };
    const age = since(now, this.#held.fetchedAt);
    const fresh = this.#backoff.isFailing ? "degraded" : age < SOFT_MS ? "fresh" : "soft_stale";
    return {
      state: age < HARD_MS ? fresh : "hard_stale",
      ageSeconds: Math.floor(age / 1000),
      kids,
    };
  }

  /**
   * A call that has waited its time takes over from a leader that is late, one at a time.
   *
   * @param {number} now
   * @param {number} waitedMs
   */
  #findCold(now, waitedMs) {
    if (this.#leader) {
      const isLate = since(now, this.#leader.began) >= MAX_WAIT_MS;
      if (!isLate || waitedMs < MAX_WAIT_MS) return wait(waitedMs < 2 * MAX_WAIT_MS);
    } else if (this.#backoff.waitMs(now) > 0) {
      return unavailable(this.#backoff.waitMs(now));
    }
    return this.#lead(now);
  }

  /**
   * "Unknown key" is said only when the issuer's present set could be looked at.
   *
   * @param {number} now
   * @param {number} waitedMs
   */
  #findUnknown(now, waitedMs) {
    if (this.#leader) return wait(waitedMs < MAX_WAIT_MS);
    const spent = this.#attemptedAt === null ? Infinity : since(now, this.#attemptedAt);
    const budgetMs = Math.max(0, REFETCH_EVERY_MS - spent);
    const pauseMs = this.#backoff.waitMs(now);
    if (budgetMs === 0 && pauseMs === 0) return this.#lead(now);
    return this.#backoff.isFailing ? unavailable(Math.max(pauseMs, budgetMs)) : UNKNOWN;
  }

  /** @param {number} now */
  #lead(now) {
    this.#lastTicket += 1;
    this.#leader = { ticket: this.#lastTicket, began: now };
    this.#attemptedAt = now;
    this.#wanted = this.#lastTicket;
    return { what: AWAIT_KEYS };
  }

  /**
   * A late answer must not undo a newer one that is still of use.
   *
   * @param {number} now
   * @param {number} fetchedAt
   */
  #isNews(now, fetchedAt) {
    return this.usable(now) === null || fetchedAt > /** @type {any} */ (this.#held).fetchedAt;
  }
}

/** @param {boolean} mayWait */
const wait = (mayWait) => (mayWait ? { what: WAIT_FOR_KEYS, amount: 25 } : unavailable(0));

/**
 * `Retry-After` is never 0, which clients take as leave to hammer.
 *
 * @param {number} ms
 */
const unavailable = (ms) => ({ what: UNAVAILABLE, amount: Math.max(1, Math.ceil(ms / 1000)) });

const UNKNOWN = { what: REFUSE, words: "unknown_key" };

// The bounds of `shared-claims/src/key_cache.rs`, with their reasons there.
const SOFT_MS = 300_000;
const HARD_MS = 3_600_000;
const REFETCH_EVERY_MS = 30_000;
const LEADER_DEAD_MS = 5_000;
const MAX_WAIT_MS = 3_000;
