/**
 * The verifier without WebAssembly: the same rules in the same order as in `shared-claims`, with
 * the signature by WebCrypto.
 *
 * @import { AccessClaims, KeySetCopy, VerifierOptions, VerifierState } from "../../index.js"
 * @import { Settings } from "../options.mjs"
 */

import { checkCopy, checkToken, MAX_SECONDS } from "../checks.mjs";
import { getFeed, getKeySet } from "../fetching.mjs";
import { checkOptions } from "../options.mjs";
import { checkClaims } from "./claims.mjs";
import { verifySigned } from "./ed25519.mjs";
import { Feed } from "./feed.mjs";
import { parseJws, readPayload, Refused } from "./jws.mjs";
import { KeyCache } from "./key_cache.mjs";
import { refusalOf } from "./meanings.mjs";
import { isRevoked } from "./revocations.mjs";

/**
 * `createVerifier` for a runtime: without `verifySync`, as WebCrypto cannot but wait.
 *
 * @param {import("../hosts/runtimes.mjs").Runtime} runtime
 */
export function webcryptoVerifierFor(runtime) {
  return (/** @type {VerifierOptions} */ options) => {
    const verifier = new WebCryptoVerifier(runtime, checkOptions(options));
    return Object.freeze({
      verify: (/** @type {string} */ token) => verifier.verify(token),
      ready: () => verifier.ready(),
      exportJwks: () => verifier.keys.export(),
      importJwks: (/** @type {KeySetCopy} */ copy) => verifier.importJwks(copy),
      state: () => verifier.state(),
    });
  };
}

class WebCryptoVerifier {
  #runtime;
  #settings;

  /** @type {Feed | undefined} */
  #feed;

  #ticksLeft = 0;
  #isTicking = false;

  /**
   * @param {import("../hosts/runtimes.mjs").Runtime} runtime
   * @param {Settings} settings
   */
  constructor(runtime, settings) {
    if (!globalThis.crypto?.subtle) {
      throw new TypeError("createVerifier needs WebCrypto; browsers give it to https only");
    }
    this.#runtime = runtime;
    this.#settings = settings;
    const { issuer, keySet, jwksUri, feedJwksUri, revocationsUri } = settings;
    const now = () => this.#now();
    const fetched = (/** @type {string | null} */ url) => getKeySet(runtime, settings, url);
    this.keys = new KeyCache(() => fetched(jwksUri), now);
    const why = keySet === null ? "" : this.keys.give(new TextEncoder().encode(keySet));
    if (why) throw new TypeError(`createVerifier cannot use jwks: ${why}`);
    if (revocationsUri === null) return;
    const feedKeys = new KeyCache(() => fetched(feedJwksUri), now);
    this.#feed = new Feed(
      issuer,
      feedKeys,
      (...asked) => getFeed(runtime, settings, ...asked),
      now,
    );
  }

  /**
   * @param {string} token
   * @returns {Promise<AccessClaims>}
   */
  async verify(token) {
    checkToken(token);
    try {
      const text = await this.#judge(token);
      if (this.#feed && this.#runtime.hasTimers) this.#keepPolling();
      // What was verified stays as it was.
      return JSON.parse(text, (_, value) => Object.freeze(value));
    } catch (error) {
      throw error instanceof Refused ? refusalOf(error.words) : error;
    }
  }

  async ready() {
    this.#pollMeanwhile();
    await this.keys.find();
    await this.#feed?.ready();
  }

  /** @param {KeySetCopy} copy */
  importJwks(copy) {
    checkCopy(copy);
    if (this.#settings.jwksUri === null) {
      throw new TypeError(
        "importJwks is for verifiers that fetch their keys; this one was given jwks",
      );
    }
    const document = new TextEncoder().encode(JSON.stringify(copy.jwks));
    const why = this.keys.import(document, Math.round(copy.fetchedAt * 1000));
    if (why) throw new TypeError(`importJwks cannot use this: ${why}`);
  }

  /** @returns {VerifierState} */
  state() {
    const keys = this.keys.state(this.#now());
    return { wasm: "ready", keys, revocations: this.#feed?.state() ?? null, alarms: 0 };
  }

  /**
   * The payload of a token that is accepted.
   *
   * @param {string} token
   */
  async #judge(token) {
    if (
      token.length > MAX_TOKEN_BYTES ||
      new TextEncoder().encode(token).length > MAX_TOKEN_BYTES
    ) {
      throw new Refused("too_large");
    }
    const jws = parseJws(token, "at+jwt");
    this.#pollMeanwhile();
    if (!(await verifySigned(await this.keys.find(jws.kid), jws)))
      throw new Refused("bad_signature");
    const { text, members } = readPayload(jws.payload);
    const claims = checkClaims(members, this.#settings, Math.floor(this.#now() / 1000));
    // Asked about only for tokens that are otherwise good.
    await this.#feed?.refresh();
    if (this.#feed?.held && isRevoked(this.#feed.held, jws.kid, claims))
      throw new Refused("revoked");
    return text;
  }

  /** When keys have to be waited for, revocations are asked for at the same time. */
  #pollMeanwhile() {
    if (!this.keys.usable(this.#now())) this.#feed?.pollIfDue();
  }

  /** Polls on for a while, so that what was revoked a moment ago is known to the next call, too. */
  #keepPolling() {
    this.#ticksLeft = TICKS_AFTER_USE;
    if (!this.#isTicking) this.#tickLater();
  }

  #tickLater() {
    this.#isTicking = true;
    const timer = setTimeout(() => {
      /** @type {Feed} */ (this.#feed).pollIfDue();
      this.#ticksLeft -= 1;
      this.#isTicking = false;
      if (this.#ticksLeft > 0) this.#tickLater();
    }, TICK_MS);
    // Node: no reason to keep the process running.
    /** @type {any} */ (timer).unref?.();
  }

  /** Milliseconds since 1970. */
  #now() {
    const { clock } = this.#settings;
    if (clock === null) return Date.now();
    const seconds = clock();
    if (typeof seconds === "number" && seconds >= 0 && seconds < MAX_SECONDS) {
      return Math.floor(seconds * 1000);
    }
    throw new TypeError(
      "the clock of createVerifier must return seconds since 1970, not milliseconds",
    );
  }
}

// The core's limits; see `shared-claims/src/limits.rs`.
const MAX_TOKEN_BYTES = 8192;

/** The feed is polled once a second; looking more often keeps that from becoming two. */
const TICK_MS = 250;

/** A minute. */
const TICKS_AFTER_USE = 240;
