/**
 * The verifier: it gives the core what the core asks for and tells its answers.
 *
 * 1. Nothing is decided here. What a token is, which keys to use and when to fetch are the
 *    core's answers; after every wait it is asked again.
 * 2. A call awaits its own requests and timers, never another call's: on Workers that hangs.
 * 3. Requests report to the core and to nobody else, and never reject.
 *
 * @import { AccessClaims, KeySetCopy, Verifier, VerifierOptions, VerifierState } from "../index.js"
 * @import { Poll } from "./core.mjs"
 * @import { Settings } from "./options.mjs"
 */

import { checkCopy, checkToken, MAX_SECONDS } from "./checks.mjs";
import * as to from "./core.mjs";
import { refusal, unavailable } from "./errors.mjs";
import { getFeed, getKeySet, sleep, within } from "./fetching.mjs";
import { checkOptions } from "./options.mjs";
import { TokenCache } from "./token_cache.mjs";

/**
 * What differs between runtimes.
 *
 * @typedef {object} Host
 * @property {() => WebAssembly.Instance | Promise<WebAssembly.Instance>} instantiate
 * @property {RequestInit} requests what every request is made with
 * @property {boolean} sendsEntityTags whether we ask with `If-None-Match`, or the runtime does
 * @property {(work: Promise<unknown>) => void} keepAlive lets work outlive the call it began in
 * @property {boolean} hasTimers whether work can begin without a call
 */

/**
 * `createVerifier` for one runtime.
 *
 * @param {Host} host
 * @returns {(options: VerifierOptions) => Verifier}
 */
export function verifierFor(host) {
  return (options) => {
    const machine = new Machine(host, checkOptions(options));
    return Object.freeze({
      verify: async (/** @type {string} */ token) => machine.verify(token),
      verifySync: (/** @type {string} */ token) => machine.verifySync(token),
      ready: () => machine.ready(),
      exportJwks: () => machine.exportJwks(),
      importJwks: (/** @type {KeySetCopy} */ copy) => machine.importJwks(copy),
      state: () => machine.state(),
    });
  };
}

/**
 * What came of a question.
 *
 * @typedef {object} Asked
 * @property {to.Core} core who was asked
 * @property {number} answer
 * @property {string} words why a token is refused
 * @property {{ keys: Promise<void> | null, poll: Promise<void> | null }} errands
 */

class Machine {
  #host;
  #settings;

  /** @type {to.Core | null} */
  #core = null;

  /** @type {Promise<to.Core> | null} */
  #opening = null;

  /**
   * What a new core starts with: the latest keys, as they came.
   *
   * @type {{ document: Uint8Array, fetchedAt: number } | null}
   */
  #keys = null;

  /** @type {TokenCache<AccessClaims>} */
  #tokens = new TokenCache();

  /** The core's standing, and when it was that. */
  #standing = 0;
  #stoodAt = NEVER;

  #ticking = false;
  #ticksLeft = 0;

  /**
   * @param {Host} host
   * @param {Settings} settings
   */
  constructor(host, settings) {
    this.#host = host;
    this.#settings = settings;
    this.#openNow();
  }

  /**
   * Waits for nothing when everything is there, not even for a promise of its own.
   *
   * @param {string} token
   * @returns {AccessClaims | Promise<AccessClaims>}
   */
  verify(token) {
    checkToken(token);
    return this.#verifiedBefore(token) ?? this.#verifyAnew(token);
  }

  /**
   * @param {string} token
   * @returns {AccessClaims | Promise<AccessClaims>}
   */
  #verifyAnew(token) {
    /** @type {AccessClaims | undefined} */
    let claims;
    const question = (/** @type {to.Core} */ core, /** @type {number} */ now, waited = NO_TIME) => {
      const answer = core.verify(token, now, waited);
      claims = this.#accepted(core, answer, token, now);
      return answer;
    };
    const first = this.#core && this.#ask(this.#core, question);
    const given = () => /** @type {AccessClaims} */ (claims);
    return claims ?? this.#answered(question, first).then(given);
  }

  /**
   * The claims of a token that was accepted earlier, if nothing has happened since that could
   * change that.
   *
   * @param {string} token
   */
  #verifiedBefore(token) {
    const kept = this.#tokens.get(token);
    if (kept === undefined) return undefined;
    const now = this.#now();
    if (now < kept.from || now >= kept.until) return undefined;
    if (this.#standingOfNow(now) !== kept.standing) return undefined;
    this.#keepPolling();
    return kept.claims;
  }

  /**
   * The core's standing, asked for once in a millisecond unless something happens meanwhile.
   *
   * @param {number} now
   */
  #standingOfNow(now) {
    const core = this.#core;
    if (core === null) return 0;
    if (this.#stoodAt !== now) {
      this.#standing = this.#guarded(core, () => core.raw.standing(now));
      this.#stoodAt = now;
    }
    return this.#standing;
  }

  async ready() {
    await this.#answered((core, now, waited) => core.raw.prepare(now, waited.keysMs, waited.pollMs));
  }

  /**
   * @param {string} token
   * @returns {AccessClaims}
   */
  verifySync(token) {
    checkToken(token);
    const core = this.#openNow();
    if (core === null) throw unavailable(1, { detail: STILL_LOADING });
    let claims = this.#verifiedBefore(token);
    if (claims !== undefined) return claims;
    const { answer, words } = this.#ask(core, (core, now) => {
      const answer = core.verifyAtOnce(token, now);
      claims = this.#accepted(core, answer, token, now);
      return answer;
    });
    if (claims !== undefined) return claims;
    throw toError(answer, words);
  }

  /** @returns {KeySetCopy | null} */
  exportJwks() {
    const core = this.#openNow();
    const fetchedAt = core?.raw.export_keys();
    return core && fetchedAt
      ? { jwks: JSON.parse(core.words()), fetchedAt: fetchedAt / 1000 }
      : null;
  }

  /** @param {KeySetCopy} copy */
  importJwks(copy) {
    checkCopy(copy);
    if (this.#settings.jwksUri === null) {
      throw new TypeError(
        "importJwks is for verifiers that fetch their keys; this one was given jwks",
      );
    }
    const document = encoder.encode(JSON.stringify(copy.jwks));
    const fetchedAt = Math.round(copy.fetchedAt * 1000);
    const core = this.#openNow();
    const why =
      core && this.#guarded(core, () => core.importKeys(document, fetchedAt, this.#now()));
    if (why) throw new TypeError(`importJwks cannot use this: ${why}`);
    this.#keep(document, fetchedAt);
  }

  /** @returns {VerifierState} */
  state() {
    const core = this.#openNow();
    if (core) return { wasm: "ready", ...JSON.parse(core.state(this.#now())) };
    return {
      wasm: "loading",
      keys: NO_KEYS,
      revocations: this.#settings.revocationsUri === null ? null : NO_REVOCATIONS,
      alarms: 0,
    };
  }

  /**
   * Asks until the answer is acceptance.
   *
   * @param {(core: to.Core, now: number, waited: typeof NO_TIME) => number} question
   * @param {Asked | null} first what came of asking before waiting for anything
   */
  async #answered(question, first = null) {
    const waited = { ...NO_TIME };
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const asked = look === 0 ? first : null;
      const core = asked?.core ?? this.#openNow() ?? (await this.#opened());
      const { answer, words, errands } = asked ?? this.#ask(core, question, waited);
      const what = to.whatToDo(answer);
      if (what === to.ACCEPT) return;
      if (what === to.REFUSE || what === to.UNAVAILABLE) throw toError(answer, words);
      await wait(answer, errands, waited);
      if (core !== this.#core) throw unavailable(1, { detail: STARTED_ANEW });
    }
    throw unavailable();
  }

  /**
   * One question to the core, and the errands that come with the answer under way.
   *
   * @param {to.Core} core
   * @param {(core: to.Core, now: number, waited: typeof NO_TIME) => number} question
   * @param {typeof NO_TIME} [waited]
   */
  #ask(core, question, waited = NO_TIME) {
    const now = this.#now();
    const answer = this.#guarded(core, () => question(core, now, waited));
    const words = to.whatToDo(answer) === to.REFUSE ? core.words() : "";
    return { core, answer, words, errands: this.#runErrands(core) };
  }

  /** @param {to.Core} core */
  #runErrands(core) {
    const keys = this.#runKeysErrand(core, false);
    if (this.#settings.revocationsUri === null) return { keys, poll: null };
    const feedKeys = this.#runKeysErrand(core, true);
    const poll = core.takePollErrand();
    return { keys, poll: poll && this.#inBackground(this.#poll(core, poll, feedKeys)) };
  }

  /**
   * @param {to.Core} core
   * @param {boolean} ofFeed
   */
  #runKeysErrand(core, ofFeed) {
    const ticket = core.raw.take_keys_errand(ofFeed);
    return ticket === 0 ? null : this.#inBackground(this.#fetchKeys(core, ofFeed, ticket));
  }

  /**
   * @param {to.Core} core
   * @param {boolean} ofFeed
   * @param {number} ticket
   */
  async #fetchKeys(core, ofFeed, ticket) {
    const { jwksUri, feedJwksUri } = this.#settings;
    const fetchedAt = this.#now();
    const body = await getKeySet(this.#host, this.#settings, ofFeed ? feedJwksUri : jwksUri);
    this.#report(core, (now) => {
      const taken = core.keysFetched(ofFeed, ticket, body, fetchedAt, now);
      if (taken && !ofFeed) this.#keep(body, fetchedAt);
    });
  }

  /**
   * @param {to.Core} core
   * @param {Poll} poll
   * @param {Promise<void> | null} feedKeys
   */
  async #poll(core, { ticket, since, etag }, feedKeys) {
    const asked = getFeed(this.#host, this.#settings, since, etag);
    const { status, body, etag: tag } = await asked;
    await feedKeys;
    const hand = () => this.#report(core, (now) => core.pollAnswered(ticket, body, tag, now));
    if (status === 304) return this.#report(core, (now) => core.raw.poll_not_modified(ticket, now));
    if (hand()) return;
    // The document names a key that is new to the core.
    await this.#runKeysErrand(core, true);
    hand();
  }

  /**
   * Tells the core something, if it is still the one that asked.
   *
   * @template T
   * @param {to.Core} core
   * @param {(now: number) => T} news
   */
  #report(core, news) {
    if (core !== this.#core) return undefined;
    const now = this.#now();
    return this.#guarded(core, () => news(now));
  }

  /**
   * @param {Promise<unknown>} work
   * @returns {Promise<void>}
   */
  #inBackground(work) {
    const done = work.then(NOTHING, NOTHING);
    this.#host.keepAlive(done);
    return done;
  }

  /**
   * Whatever comes out of the module as an exception, its memory cannot be trusted any more.
   *
   * @template T
   * @param {to.Core} core
   * @param {() => T} call
   * @returns {T}
   */
  #guarded(core, call) {
    this.#stoodAt = NEVER;
    try {
      return call();
    } catch (cause) {
      if (this.#core === core) this.#core = null;
      throw unavailable(1, { detail: STARTED_ANEW, cause });
    }
  }

  /** The core, unless its module is still on the way. */
  #openNow() {
    if (this.#core !== null || this.#opening !== null) return this.#core;
    const instance = this.#host.instantiate();
    if (!(instance instanceof Promise)) return this.#adopt(instance);
    this.#opening = instance.then((instance) => this.#adopt(instance));
    this.#opening.then(NOTHING, NOTHING).then(() => (this.#opening = null));
    return null;
  }

  /** @returns {Promise<to.Core>} */
  async #opened() {
    try {
      return await /** @type {Promise<to.Core>} */ (this.#opening);
    } catch (cause) {
      if (cause instanceof TypeError) throw cause;
      throw unavailable(1, { detail: "the WebAssembly module cannot be loaded", cause });
    }
  }

  /** @param {WebAssembly.Instance} instance */
  #adopt(instance) {
    const { issuer, audiences, leewaySecs, keySet, revocationsUri } = this.#settings;
    const core = new to.Core(instance);
    core.open(issuer, audiences, leewaySecs);
    const why = keySet === null ? "" : core.useKeySet(keySet);
    if (why) throw new TypeError(`createVerifier cannot use jwks: ${why}`);
    if (revocationsUri !== null) core.raw.use_revocations();
    if (this.#keys) core.importKeys(this.#keys.document, this.#keys.fetchedAt, this.#now());
    this.#core = core;
    this.#tokens = new TokenCache();
    return core;
  }

  /**
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   */
  #keep(document, fetchedAt) {
    if (!this.#keys || fetchedAt > this.#keys.fetchedAt) this.#keys = { document, fetchedAt };
  }

  /**
   * What the core has just accepted, if it has.
   *
   * @param {to.Core} core
   * @param {number} answer
   * @param {string} token
   * @param {number} now
   * @returns {AccessClaims | undefined}
   */
  #accepted(core, answer, token, now) {
    if (to.whatToDo(answer) !== to.ACCEPT) return undefined;
    const claims = deepFreeze(JSON.parse(core.words()));
    const standing = core.raw.standing(now);
    if (standing > 0) {
      this.#tokens.keep({
        token,
        claims,
        standing,
        from: core.raw.good_from(),
        until: core.raw.good_until(),
      });
    }
    this.#keepPolling();
    return claims;
  }

  /**
   * Polls on for a while, so that what was revoked a moment ago is known to the next call, too.
   */
  #keepPolling() {
    if (this.#settings.revocationsUri === null || !this.#host.hasTimers) return;
    this.#ticksLeft = TICKS_AFTER_USE;
    if (!this.#ticking) this.#tickLater();
  }

  #tickLater() {
    this.#ticking = true;
    const timer = setTimeout(() => this.#tick(), TICK_MS);
    // Node: no reason to keep the process running.
    /** @type {any} */ (timer).unref?.();
  }

  #tick() {
    this.#inBackground(this.#pollUnasked());
    this.#ticksLeft -= 1;
    this.#ticking = false;
    if (this.#ticksLeft > 0) this.#tickLater();
  }

  async #pollUnasked() {
    const core = this.#core;
    if (core === null) return;
    this.#report(core, (now) => core.raw.poll_if_due(now));
    this.#runErrands(core);
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

/**
 * Waits as an answer says.
 *
 * @param {number} answer
 * @param {{ keys: Promise<void> | null, poll: Promise<void> | null }} errands
 * @param {{ keysMs: number, pollMs: number }} waited
 */
async function wait(answer, errands, waited) {
  const ms = to.amountOf(answer);
  switch (to.whatToDo(answer)) {
    case to.AWAIT_KEYS:
      return errands.keys;
    case to.WAIT_FOR_KEYS:
      waited.keysMs += ms;
      return sleep(ms);
    case to.AWAIT_POLL:
      waited.pollMs += ms;
      return void (await within(ms, errands.poll ?? Promise.resolve()));
    default:
      waited.pollMs += ms;
      return sleep(ms);
  }
}

/**
 * The error of an answer that is not acceptance.
 *
 * @param {number} answer
 * @param {string} words
 */
function toError(answer, words) {
  switch (to.whatToDo(answer)) {
    case to.REFUSE:
      return refusal(words);
    case to.UNAVAILABLE:
      return unavailable(to.amountOf(answer));
    default:
      return unavailable();
  }
}

/**
 * What was verified stays as it was.
 *
 * @template T
 * @param {T} value
 * @returns {T}
 */
function deepFreeze(value) {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) {
    if (typeof inner === "object") deepFreeze(inner);
  }
  return Object.freeze(value);
}

const NOTHING = () => {};
const NEVER = -1;

/** What somebody has waited who has just come. */
const NO_TIME = Object.freeze({ keysMs: 0, pollMs: 0 });

/** @type {VerifierState["keys"]} */
const NO_KEYS = { state: "empty", ageSeconds: null, kids: [] };
const NO_REVOCATIONS = { epoch: null, seq: null, ageSeconds: null };
const STARTED_ANEW = "the verifier had to start anew";
const STILL_LOADING = "the WebAssembly module is still loading";
const encoder = new TextEncoder();

/** More than the core ever asks for: it bounds the waiting itself, in milliseconds. */
const MAX_LOOKS = 1000;

/** The core polls once a second; looking more often keeps that from becoming two. */
const TICK_MS = 250;

/** A minute. */
const TICKS_AFTER_USE = 240;
