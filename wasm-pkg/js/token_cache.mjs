/**
 * Remembers tokens that were accepted, so that a repeated one costs a look-up. The first time
 * only a trace is kept: most tokens of a busy service are not seen twice by one process.
 *
 * A token is looked for by its trace and found by the whole of its text: hashing all of it, as a
 * `Map` of texts would, costs a twentieth of what verifying it does. What a hit saves is the work
 * and never the verdict: the core says whether anything has changed since, and the times are looked
 * at again.
 */

/**
 * What was accepted; good from one instant until another, in milliseconds, for as long as the
 * core's standing is the same.
 *
 * @template T
 * @typedef {{ token: string, claims: T, standing: number, from: number, until: number }} Kept
 */

/** @template T */
export class TokenCache {
  /**
   * By trace; `null` is a trace alone.
   *
   * @type {Map<number, Kept<T> | null>}
   */
  #young = new Map();

  /** @type {Map<number, Kept<T> | null>} */
  #old = new Map();

  /** @param {string} token */
  get(token) {
    const kept = this.#find(traceOf(token));
    return kept?.token === token ? kept : undefined;
  }

  /** @param {Kept<T>} kept */
  keep(kept) {
    if (kept.token.length > MAX_LENGTH) return;
    const trace = traceOf(kept.token);
    this.#put(trace, this.#find(trace) === undefined ? null : kept);
  }

  /** @param {number} trace */
  #find(trace) {
    const young = this.#young.get(trace);
    if (young !== undefined) return young;
    const old = this.#old.get(trace);
    if (old) this.#put(trace, old);
    return old;
  }

  /**
   * When the young half is full it becomes the old one, and what nobody has asked for since the
   * last time is forgotten.
   *
   * @param {number} trace
   * @param {Kept<T> | null} kept
   */
  #put(trace, kept) {
    if (this.#young.size >= MAX_TOKENS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(trace, kept);
  }
}

/**
 * Thirty bits of the signature: that two tokens share them costs nothing but time.
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
