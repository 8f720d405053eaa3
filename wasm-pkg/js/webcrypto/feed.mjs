/**
 * The revocation feed: the rules and bounds of `shared-claims/src/feed_cache.rs`, told by
 * promises.
 *
 * @import { Fetched } from "../fetching.mjs"
 * @import { KeyCache } from "./key_cache.mjs"
 * @import { Revocations } from "./revocations.mjs"
 */

import { unavailable } from "../errors.mjs";
import { within } from "../fetching.mjs";
import { verifySigned } from "./ed25519.mjs";
import { parseJws, readPayload, textOf } from "./jws.mjs";
import { readRevocations, updated } from "./revocations.mjs";
import { Backoff, since } from "./time.mjs";

export class Feed {
  /** @type {Revocations | null} */
  held = null;

  #issuer;
  #keys;
  #fetch;
  #now;

  /** @type {Promise<void>} */
  #polling = Promise.resolve();
  #polledAt = -Infinity;

  /** When the poll began that last proved what is held to be current. */
  #currentAt = -Infinity;

  /** When the poll began that last brought, or proved current, a full document. */
  #fullAt = -Infinity;

  #etag = { asked: "", tag: "" };
  #backoff = new Backoff(4_000);

  /**
   * @param {string} issuer
   * @param {KeyCache} keys the feed's own
   * @param {(since: string, etag: string) => Promise<Fetched>} fetch
   * @param {() => number} now
   */
  constructor(issuer, keys, fetch, now) {
    this.#issuer = issuer;
    this.#keys = keys;
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Asks if it is time to, and waits a moment when what is held is too old. */
  async refresh() {
    this.pollIfDue();
    if (!this.#isRecent()) {
      await within(this.held ? STALE_WAIT_MS : COLD_WAIT_MS, this.#polling);
    }
  }

  async ready() {
    if (this.held === null) await this.refresh();
    if (this.held === null) throw unavailable();
  }

  /** No second poll starts within a second, whatever becomes of the first. */
  pollIfDue() {
    const now = this.#now();
    if (since(now, this.#polledAt) < POLL_EVERY_MS || this.#backoff.waitMs(now) > 0) return;
    this.#polledAt = now;
    this.#polling = this.#poll(now);
  }

  state() {
    if (this.held === null) return { epoch: null, seq: null, ageSeconds: null };
    const { epoch, seq, asOf } = this.held;
    return { epoch, seq, ageSeconds: Math.max(0, this.#secs() - asOf) };
  }

  /** @param {number} began */
  async #poll(began) {
    const isFullDue = this.held === null || since(began, this.#fullAt) >= FULL_EVERY_MS;
    const asked = isFullDue ? "" : String(this.held?.seq);
    // Fetched side by side.
    const keys = this.#keys.find().catch(() => {});
    const etag = this.#etag.asked === asked ? this.#etag.tag : "";
    const { status, body, etag: tag } = await this.#fetch(asked, etag);
    await keys;
    if (status === 304) return this.#provedCurrent(began, asked);
    const why = await this.#takeIn(body);
    if (why === "") {
      this.#etag = { asked, tag: isBounded(tag) ? tag : "" };
      return this.#provedCurrent(began, asked);
    }
    this.#refused(why, began, asked);
  }

  /**
   * A document takes the place of what is held only if it is signed and not older.
   *
   * @param {Uint8Array} body
   * @returns {Promise<string>} why it is refused
   */
  async #takeIn(body) {
    try {
      const jws = parseJws((textOf(body) ?? "").trim(), "revocations+jwt");
      if (!(await verifySigned(await this.#keys.find(jws.kid), jws))) return "bad_signature";
      const { members } = readPayload(jws.payload);
      this.held = updated(this.held, readRevocations(members, this.#issuer, this.#secs()));
      return "";
    } catch (why) {
      return typeof why === "string" ? why : "malformed";
    }
  }

  /**
   * @param {number} began
   * @param {string} asked
   */
  #provedCurrent(began, asked) {
    this.#backoff.succeeded();
    this.#currentAt = began;
    if (asked === "") this.#fullAt = began;
  }

  /**
   * @param {string} why
   * @param {number} began
   * @param {string} asked
   */
  #refused(why, began, asked) {
    // Behind a load balancer one issuer is a moment behind the other: no failure.
    if (why === "older") return;
    this.#fullAt = -Infinity;
    const isOffBase = why === "wrong_base" || why === "too_large";
    // An answer was lost, or the issuer has begun anew: the full document does not bear waiting.
    if (isOffBase && asked !== "" && this.#polledAt === began) this.#polledAt = -Infinity;
    // A failure counts unless a later poll has succeeded.
    else if (this.#currentAt < began) this.#backoff.failed(this.#now());
  }

  /** How old it is is told by the document, never by when it arrived. */
  #isRecent() {
    const secs = this.#secs();
    return this.held !== null && Math.abs(secs - this.held.asOf) <= MAX_AGE_SECS;
  }

  #secs() {
    return Math.floor(this.#now() / 1000);
  }
}

/**
 * An entity tag worth repeating: visible ASCII of a length issuers use.
 *
 * @param {string} etag
 */
const isBounded = (etag) => /^[!-~]{1,132}$/.test(etag);

// The bounds of `shared-claims/src/feed_cache.rs`, with their reasons there.
const MAX_AGE_SECS = 30;
const POLL_EVERY_MS = 1_000;
const FULL_EVERY_MS = 60_000;
const COLD_WAIT_MS = 500;
const STALE_WAIT_MS = 250;
