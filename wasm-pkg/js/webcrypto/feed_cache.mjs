/**
 * When to ask for the revocation feed, and when what is held is too old. The same machine as
 * `shared-claims/src/feed_cache.rs`, whose invariants hold here, with the feed's own keys.
 *
 * @import { Poll } from "../core.mjs"
 * @import { Instead } from "./key_cache.mjs"
 * @import { Revocations } from "./revocations.mjs"
 */

import { ACCEPT, AWAIT_KEYS, AWAIT_POLL, UNAVAILABLE, WAIT_FOR_POLL } from "../core.mjs";
import { parseJws, readPayload } from "./jws.mjs";
import { KeyCache } from "./key_cache.mjs";
import { readRevocations, updated } from "./revocations.mjs";
import { Backoff, since } from "./time.mjs";

/**
 * @typedef {{ ticket: number, began: number, since: string }} OpenPoll
 */

export class FeedCache {
  keys = new KeyCache();

  /** @type {Revocations | null} */
  held = null;

  #issuer;
  #lastTicket = 0;

  /** @type {OpenPoll[]} the latest polls nobody has reported on, oldest first */
  #open = [];

  /** @type {Poll | null} */
  #wanted = null;

  /** @type {number | null} */
  #polledAt = null;

  /** When the poll began that last brought, or proved current, a full document. */
  #fullAt = -Infinity;

  /** When the poll began that last proved what is held to be current. */
  #currentAt = -Infinity;

  /** @type {{ since: string, etag: string } | null} */
  #etag = null;

  #backoff = new Backoff(4_000);

  /** @param {string} issuer */
  constructor(issuer) {
    this.#issuer = issuer;
  }

  /**
   * What to do before what is held is checked against; `null` when that can be done now.
   *
   * @param {number} now
   * @param {number} waitedMs `Infinity` for whoever cannot wait
   * @returns {Instead | null}
   */
  consult(now, waitedMs) {
    const wait = this.#ask(now, waitedMs);
    return this.held === null && waitedMs === Infinity ? NOTHING_HELD : wait;
  }

  /**
   * What to do until there is a first document.
   *
   * @param {number} now
   * @param {number} waitedMs
   * @returns {Instead}
   */
  prepare(now, waitedMs) {
    return this.held ? { what: ACCEPT } : (this.consult(now, waitedMs) ?? NOTHING_HELD);
  }

  /** @param {number} now */
  pollIfDue(now) {
    this.#ask(now, Infinity);
  }

  takeErrand() {
    const poll = this.#wanted;
    this.#wanted = null;
    return poll;
  }

  /**
   * What to judge a document by, if the key that it names is at hand; asks for nothing.
   *
   * @param {string} text
   * @param {number} now
   */
  judgedBy(text, now) {
    const jws = parseFeed(text);
    const key = jws && this.keys.usable(now)?.get(jws.kid);
    return key && { jws, key };
  }

  /**
   * Takes in the answer to a poll.
   *
   * @param {number} ticket
   * @param {string} text
   * @param {string} etag
   * @param {number} now
   * @param {boolean | undefined} isSigned nothing when nobody could say
   * @returns {boolean} whether that is all; else do the errand for the feed's keys and ask again
   */
  answered(ticket, text, etag, now, isSigned) {
    const kid = parseFeed(text)?.kid;
    const key = kid && this.keys.find(kid, now, 0);
    if (/** @type {any} */ (key)?.what === AWAIT_KEYS) return false;
    const poll = this.#close(ticket);
    if (isSigned === undefined) {
      this.#failed(now, poll);
      return true;
    }
    const why = isSigned ? this.#apply(text, now) : "bad_signature";
    this.#settle(now, poll, why);
    if (why === "") this.#etag = poll && isBounded(etag) ? { since: poll.since, etag } : null;
    return true;
  }

  /**
   * @param {number} ticket
   * @param {number} now
   */
  notModified(ticket, now) {
    this.#settle(now, this.#close(ticket), "");
  }

  /** @param {number} now */
  state(now) {
    if (this.held === null) return { epoch: null, seq: null, ageSeconds: null };
    const { epoch, seq, asOf } = this.held;
    return { epoch, seq, ageSeconds: Math.max(0, Math.floor(now / 1000) - asOf) };
  }

  /**
   * @param {number} now
   * @param {number} waitedMs
   * @returns {Instead | null}
   */
  #ask(now, waitedMs) {
    const isRecent = this.#isRecent(now);
    const leftMs = Math.max(0, (this.held ? STALE_WAIT_MS : COLD_WAIT_MS) - waitedMs);
    if (!isRecent && leftMs > 0 && this.#isPolling(now)) {
      return { what: WAIT_FOR_POLL, amount: Math.min(WAIT_STEP_MS, leftMs) };
    }
    if (!this.#isDue(now)) return null;
    this.#lead(now);
    this.keys.prepare(now, 0);
    return isRecent || leftMs === 0 ? null : { what: AWAIT_POLL, amount: leftMs };
  }

  /** @param {number} now */
  #isRecent(now) {
    if (this.held === null) return false;
    const secs = Math.floor(now / 1000);
    return this.held.asOf <= secs + MAX_AGE_SECS && secs - this.held.asOf <= MAX_AGE_SECS;
  }

  /** @param {number} now */
  #isPolling(now) {
    const last = this.#open.at(-1);
    return last !== undefined && since(now, last.began) < POLL_EVERY_MS;
  }

  /** @param {number} now */
  #isDue(now) {
    const isEarly = this.#polledAt !== null && since(now, this.#polledAt) < POLL_EVERY_MS;
    return !this.#isPolling(now) && !isEarly && this.#backoff.waitMs(now) === 0;
  }

  /** @param {number} now */
  #lead(now) {
    const isFullDue = this.held === null || since(now, this.#fullAt) >= FULL_EVERY_MS;
    const asked = isFullDue ? "" : String(this.held?.seq);
    this.#lastTicket += 1;
    const ticket = this.#lastTicket;
    this.#open = [...this.#open.slice(1 - MAX_OPEN_POLLS), { ticket, began: now, since: asked }];
    this.#polledAt = now;
    const etag = this.#etag?.since === asked ? this.#etag.etag : "";
    this.#wanted = { ticket, since: asked, etag };
  }

  /** @param {number} ticket */
  #close(ticket) {
    const poll = this.#open.find((open) => open.ticket === ticket);
    this.#open = this.#open.filter((open) => open !== poll);
    return poll;
  }

  /**
   * @param {string} text
   * @param {number} now
   * @returns {string} why it is refused
   */
  #apply(text, now) {
    try {
      const { payload } = /** @type {any} */ (parseFeed(text));
      const secs = Math.floor(now / 1000);
      const read = readRevocations(readPayload(payload).members, this.#issuer, secs);
      this.held = updated(this.held, read);
      return "";
    } catch (why) {
      return typeof why === "string" ? why : "malformed";
    }
  }

  /**
   * Draws the consequences for the next poll.
   *
   * @param {number} now
   * @param {OpenPoll | undefined} poll
   * @param {string} why
   */
  #settle(now, poll, why) {
    if (why === "") return this.#provedCurrent(poll);
    // Behind a load balancer one issuer is a moment behind the other: no failure.
    if (why === "older") return;
    const isLatestDelta = poll && poll.since !== "" && this.#polledAt === poll.began;
    this.#fullAt = -Infinity;
    // An answer was lost, or the issuer has begun anew: the full document does not bear waiting.
    if ((why === "wrong_base" || why === "too_large") && isLatestDelta) this.#polledAt = null;
    else this.#failed(now, poll);
  }

  /** @param {OpenPoll | undefined} poll */
  #provedCurrent(poll) {
    if (poll === undefined) return;
    this.#backoff.succeeded();
    this.#currentAt = poll.began;
    if (poll.since === "") this.#fullAt = poll.began;
  }

  /**
   * A failure counts unless a later poll has succeeded.
   *
   * @param {number} now
   * @param {OpenPoll | undefined} poll
   */
  #failed(now, poll) {
    if (poll && this.#currentAt < poll.began) this.#backoff.failed(now);
  }
}

/** @param {string} text */
function parseFeed(text) {
  try {
    return text.length > MAX_BYTES ? null : parseJws(text, "revocations+jwt");
  } catch {
    return null;
  }
}

/**
 * An entity tag worth repeating: visible ASCII of a length issuers use.
 *
 * @param {string} etag
 */
const isBounded = (etag) => /^[!-~]{1,132}$/.test(etag);

/** The next poll is a second away. */
const NOTHING_HELD = { what: UNAVAILABLE, amount: 1 };

// The bounds of `shared-claims/src/feed_cache.rs`, with their reasons there.
const MAX_AGE_SECS = 30;
const POLL_EVERY_MS = 1_000;
const FULL_EVERY_MS = 60_000;
const COLD_WAIT_MS = 500;
const STALE_WAIT_MS = 250;
const WAIT_STEP_MS = 25;
const MAX_OPEN_POLLS = 5;
const MAX_BYTES = 256 * 1024;
