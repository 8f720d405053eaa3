/**
 * Remembers tokens that were accepted, so that a repeated one costs a look-up. The first time
 * only a trace is kept: most tokens of a busy service are not seen twice by one process.
 *
 * A token is found by the whole of its text. What a hit saves is the work and never the verdict:
 * the core says whether anything has changed since, and the times are looked at again.
 */

/**
 * What was accepted; good from one instant until another, in milliseconds, for as long as the
 * core's standing is the same.
 *
 * @template T
 * @typedef {{ claims: T, standing: number, from: number, until: number }} Kept
 */

/** @template T */
export class TokenCache {
  /** @type {Map<string, Kept<T>>} */
  #young = new Map();

  /** @type {Map<string, Kept<T>>} */
  #old = new Map();

  /**
   * Traces of tokens that were kept once.
   *
   * @type {Set<number>}
   */
  #traces = new Set();

  /** @param {string} token */
  get(token) {
    const kept = this.#young.get(token);
    if (kept !== undefined) return kept;
    const old = this.#old.get(token);
    if (old !== undefined) this.#keep(token, old);
    return old;
  }

  /**
   * @param {string} token
   * @param {Kept<T>} kept
   */
  keep(token, kept) {
    if (token.length > MAX_LENGTH) return;
    const trace = traceOf(token);
    if (this.#traces.delete(trace)) return this.#keep(token, kept);
    if (this.#traces.size >= MAX_TOKENS) this.#traces.clear();
    this.#traces.add(trace);
  }

  /**
   * When the young half is full it becomes the old one, and what nobody has asked for since the
   * last time is forgotten.
   *
   * @param {string} token
   * @param {Kept<T>} kept
   */
  #keep(token, kept) {
    if (this.#young.size >= MAX_TOKENS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(token, kept);
  }
}

/**
 * Thirty bits of the signature: that two tokens share them costs nothing but the one time.
 *
 * @param {string} token
 */
function traceOf(token) {
  let trace = 0;
  for (let i = 2; i < 7; i += 1) {
    trace = (trace << 6) | (token.charCodeAt(token.length - i) & 0x3f);
  }
  return trace;
}

/** With tokens of 1 KB and their claims about 8 MB. */
const MAX_TOKENS = 4096;

/** The issuer's tokens have at most 1.5 KB; larger ones are verified each time. */
const MAX_LENGTH = 2048;
