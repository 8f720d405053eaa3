/**
 * The core without WebAssembly: what `Core` of `../core.mjs` does, by WebCrypto, with the same
 * verdicts.
 *
 * WebCrypto answers by promise. A question that needs one is answered like one that needs keys
 * first, with the look at the signature for an errand, and for good when it is asked again.
 *
 * @import { Instead } from "./key_cache.mjs"
 */

import { ACCEPT, AWAIT_KEYS, REFUSE, WAIT_FOR_KEYS } from "../core.mjs";
import { checkClaims } from "./claims.mjs";
import { isPoint, verifyStrict } from "./ed25519.mjs";
import { FeedCache } from "./feed_cache.mjs";
import { parseJws, readPayload, Refused } from "./jws.mjs";
import { KeyCache } from "./key_cache.mjs";
import { isRevoked } from "./revocations.mjs";

export class WebCryptoCore {
  #keys = new KeyCache();

  /** @type {FeedCache | null} */
  #feed = null;

  #policy = /** @type {import("./claims.mjs").Policy} */ ({});
  #words = "";

  /** @type {Promise<void> | null} */
  #signatureErrand = null;

  /**
   * What came of signatures, by the whole text they are in. The text names its key by the key's
   * thumbprint, so that the verdict belongs to the text for ever.
   *
   * @type {Map<string, boolean>}
   */
  #verdicts = new Map();

  /**
   * @param {string} issuer
   * @param {readonly string[]} audiences
   * @param {number} leewaySecs
   */
  open(issuer, audiences, leewaySecs) {
    this.#policy = { issuer, audiences, leewaySecs };
  }

  /** @param {string} document */
  useKeySet(document) {
    return this.#keys.give(encoder.encode(document));
  }

  useRevocations() {
    this.#feed = new FeedCache(this.#policy.issuer);
  }

  /**
   * @param {string} token
   * @param {number} now
   * @param {{ keysMs: number, pollMs: number }} waited
   */
  verify(token, now, { keysMs, pollMs }) {
    try {
      return this.#packed(this.#judge(token, now, keysMs, pollMs), now);
    } catch (error) {
      if (error instanceof Refused) return this.#packed({ what: REFUSE, words: error.words }, now);
      throw error;
    }
  }

  /**
   * @param {number} now
   * @param {{ keysMs: number, pollMs: number }} waited
   */
  prepare(now, { keysMs, pollMs }) {
    const first = this.#keys.prepare(now, keysMs) ?? this.#feed?.prepare(now, pollMs);
    return this.#packed(first ?? { what: ACCEPT }, now);
  }

  /** @param {number} now */
  pollIfDue(now) {
    this.#feed?.pollIfDue(now);
  }

  /** @param {boolean} ofFeed */
  takeKeysErrand(ofFeed) {
    return this.#keysOf(ofFeed)?.takeErrand() ?? 0;
  }

  takePollErrand() {
    return this.#feed?.takeErrand() ?? null;
  }

  takeSignatureErrand() {
    const errand = this.#signatureErrand;
    this.#signatureErrand = null;
    return errand;
  }

  /**
   * @param {boolean} ofFeed
   * @param {number} ticket
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @param {number} now
   */
  keysFetched(ofFeed, ticket, document, fetchedAt, now) {
    return this.#keysOf(ofFeed)?.fetched(ticket, document, fetchedAt, now) ?? false;
  }

  /**
   * Looks at the signature of the feed, so that `pollAnswered` can do without waiting.
   *
   * @param {Uint8Array} document
   * @param {number} now
   */
  async judgeFeed(document, now) {
    const text = feedText(document);
    const by = this.#feed?.judgedBy(text, now);
    if (by) await this.#look(text, by.jws, by.key);
  }

  /**
   * @param {number} ticket
   * @param {Uint8Array} document
   * @param {string} etag
   * @param {number} now
   */
  pollAnswered(ticket, document, etag, now) {
    const text = feedText(document);
    const isSigned = this.#verdicts.get(text);
    this.#verdicts.delete(text);
    return this.#feed?.answered(ticket, text, etag, now, isSigned) ?? true;
  }

  /**
   * @param {number} ticket
   * @param {number} now
   */
  pollNotModified(ticket, now) {
    this.#feed?.notModified(ticket, now);
  }

  /**
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @param {number} now
   */
  importKeys(document, fetchedAt, now) {
    return this.#keys.import(document, fetchedAt, now);
  }

  exportKeys() {
    return this.#keys.export();
  }

  /** @param {number} now */
  state(now) {
    return JSON.stringify({
      keys: this.#keys.state(now),
      revocations: this.#feed?.state(now) ?? null,
    });
  }

  words() {
    return this.#words;
  }

  /**
   * @param {string} token
   * @param {number} now
   * @param {number} keysMs
   * @param {number} pollMs
   * @returns {Instead}
   */
  #judge(token, now, keysMs, pollMs) {
    if (token.length > MAX_TOKEN_BYTES || encoder.encode(token).length > MAX_TOKEN_BYTES) {
      throw new Refused("too_large");
    }
    const jws = parseJws(token, "at+jwt");
    const key = this.#keys.find(jws.kid, now, keysMs);
    if (!(key instanceof Uint8Array)) return key;
    const isSigned = this.#verdicts.get(token);
    if (isSigned === undefined) {
      this.#signatureErrand = this.#look(token, jws, key);
      return SIGNATURE_FIRST;
    }
    if (!isSigned) throw new Refused("bad_signature");
    const { text, members } = readPayload(jws.payload);
    const claims = checkClaims(members, this.#policy, Math.floor(now / 1000));
    const wait = this.#feed?.consult(now, pollMs);
    if (wait) return wait;
    if (this.#feed?.held && isRevoked(this.#feed.held, jws.kid, claims))
      throw new Refused("revoked");
    return { what: ACCEPT, words: text };
  }

  /**
   * @param {string} text
   * @param {import("./jws.mjs").Jws} jws
   * @param {Uint8Array<ArrayBuffer>} key
   */
  async #look(text, { signed, signature }, key) {
    const isSigned = await verifyStrict(key, encoder.encode(signed), signature);
    if (this.#verdicts.size >= MAX_VERDICTS) {
      this.#verdicts.delete(/** @type {string} */ (this.#verdicts.keys().next().value));
    }
    this.#verdicts.set(text, isSigned);
  }

  /** @param {boolean} ofFeed */
  #keysOf(ofFeed) {
    return ofFeed ? this.#feed?.keys : this.#keys;
  }

  /**
   * An answer as the module packs it. When keys have to be waited for, revocations are asked for
   * at the same time.
   *
   * @param {Instead} answer
   * @param {number} now
   */
  #packed(answer, now) {
    const { what, amount = 0, words = "" } = answer;
    const needsKeys = what === AWAIT_KEYS || what === WAIT_FOR_KEYS;
    if (needsKeys && answer !== SIGNATURE_FIRST) this.pollIfDue(now);
    this.#words = words;
    return what | (amount << 8);
  }
}

/**
 * Whether a signature is good, by the strict rule.
 *
 * @param {Uint8Array<ArrayBuffer>} publicKey
 * @param {Uint8Array<ArrayBuffer>} message
 * @param {Uint8Array<ArrayBuffer>} signature
 */
export const verifySignature = async (publicKey, message, signature) =>
  isPoint(publicKey) && verifyStrict(publicKey, message, signature);

/** @type {Instead} */
const SIGNATURE_FIRST = { what: AWAIT_KEYS };

/** @param {Uint8Array} document */
const feedText = (document) => lenient.decode(document).trim();

const encoder = new TextEncoder();

/** What is no UTF-8 is no document either, and is refused for its characters. */
const lenient = new TextDecoder();

/** The core's limit; see `shared-claims/src/limits.rs`. */
const MAX_TOKEN_BYTES = 8192;

/** At 8 KiB each they cannot exceed 2 MiB. */
const MAX_VERDICTS = 256;
