/**
 * The gateway's keys: fetched, kept fresh, and used for a while when it is away. On Workers no
 * request may wait for the promise of another, and backends run there, too: nothing but plain data
 * is shared here, and who waits looks again on timers of its own.
 *
 * @import { KeySet } from "../webcrypto/key_set.mjs"
 */

import { unavailable } from "../errors.mjs";
import { sleep } from "../fetching.mjs";
import { HARD_MS, REFETCH_EVERY_MS, SOFT_MS } from "../webcrypto/bounds.mjs";
import { Refused } from "../webcrypto/jws.mjs";
import { readKeySet } from "../webcrypto/key_set.mjs";
import { Backoff, since } from "../webcrypto/time.mjs";

export class EdgeKeys {
  /** @type {KeySet | null} */
  #given = null;

  /** @type {{ keys: KeySet, fetchedAt: number } | null} */
  #held = null;

  #attemptedAt = -Infinity;
  #isLoading = false;
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

  /** @param {string} kid */
  async find(kid) {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const now = this.#now();
      const keys = this.#usable(now);
      const key = keys?.get(kid);
      if (key) {
        if (this.#isStale(now) && this.#mayLoad(now, null)) this.#load().catch(() => {});
        return key;
      }
      if (this.#given) throw new Refused("unknown_key");
      if (this.#mayLoad(now, keys)) await this.#load();
      else if (this.#isLoading) await sleep(LOOK_EVERY_MS);
      else if (keys && !this.#backoff.isFailing) throw new Refused("unknown_key");
      else throw unavailable(Math.ceil(this.#backoff.waitMs(now) / 1000) || 1);
    }
    throw unavailable();
  }

  /** @param {number} now */
  #usable(now) {
    if (this.#given) return this.#given;
    return this.#held && since(now, this.#held.fetchedAt) < HARD_MS ? this.#held.keys : null;
  }

  /** @param {number} now */
  #isStale(now) {
    return this.#held !== null && since(now, this.#held.fetchedAt) >= SOFT_MS;
  }

  /**
   * Whether it is this caller who loads. A loader that has been at it for too long was cut off with
   * its request; an id nobody knows causes few loads while there are keys.
   *
   * @param {number} now
   * @param {KeySet | null} keys
   */
  #mayLoad(now, keys) {
    const waited = since(now, this.#attemptedAt);
    if (this.#isLoading && waited < PRESUMED_DEAD_MS) return false;
    return this.#backoff.waitMs(now) === 0 && (keys === null || waited >= REFETCH_EVERY_MS);
  }

  async #load() {
    const fetchedAt = this.#now();
    this.#attemptedAt = fetchedAt;
    this.#isLoading = true;
    const keys = readKeySet(await this.#fetch());
    this.#isLoading = false;
    if (typeof keys === "string") return this.#backoff.failed(this.#now());
    this.#backoff.succeeded();
    // A late answer must not undo a newer one.
    if (!this.#held || fetchedAt >= this.#held.fetchedAt) this.#held = { keys, fetchedAt };
  }
}

// As in `shared-claims/src/key_cache.rs`.
const PRESUMED_DEAD_MS = 5_000;
const LOOK_EVERY_MS = 25;

/** Six seconds of looking, which is longer than any load takes. */
const MAX_LOOKS = 240;
