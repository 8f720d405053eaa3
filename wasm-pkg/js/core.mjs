/**
 * The WebAssembly module's functions with text and bytes in place of numbers. What each does is
 * said in `src/lib.rs`.
 *
 * An exception out of the module (a trap, an overflow of the stack) leaves its memory in an
 * unknown state: whoever sees one uses this object no more.
 */

/** What to do, in the low byte of an answer. */
export const ACCEPT = 1;
export const REFUSE = 2;
export const UNAVAILABLE = 3;
export const AWAIT_KEYS = 4;
export const WAIT_FOR_KEYS = 5;
export const AWAIT_POLL = 6;
export const WAIT_FOR_POLL = 7;

/** @param {number} answer */
export const whatToDo = (answer) => answer & 0xff;

/**
 * The seconds or milliseconds that belong to an answer.
 *
 * @param {number} answer
 */
export const amountOf = (answer) => answer >>> 8;

/**
 * A poll to make.
 *
 * @typedef {{ ticket: number, since: string, etag: string }} Poll
 */

export class Core {
  /**
   * The module's own functions: for those who take and give nothing but numbers.
   *
   * @type {any}
   */
  raw;

  /** Where the last token was written; good until the memory grows or the room moves. */
  #tokenRoom = new Uint8Array();

  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.raw = instance.exports;
  }

  /**
   * @param {string} issuer
   * @param {readonly string[]} audiences
   * @param {number} leewaySecs
   */
  open(issuer, audiences, leewaySecs) {
    this.raw.open(this.#write(encoder.encode(issuer)), leewaySecs);
    for (const audience of audiences) {
      this.raw.add_audience(this.#write(encoder.encode(audience)));
    }
  }

  /**
   * Why the key set is refused; nothing when it is not.
   *
   * @param {string} document
   */
  useKeySet(document) {
    return this.raw.use_key_set(this.#write(encoder.encode(document))) ? "" : this.words();
  }

  /**
   * @param {string} token
   * @param {number} now
   * @param {{ keysMs: number, pollMs: number }} waited
   * @returns {number} an answer
   */
  verify(token, now, { keysMs, pollMs }) {
    return this.raw.verify(this.#writeToken(token), now, keysMs, pollMs);
  }

  /**
   * @param {string} token
   * @param {number} now
   * @returns {number} an answer
   */
  verifyAtOnce(token, now) {
    return this.raw.verify_at_once(this.#writeToken(token), now);
  }

  /** @returns {Poll | null} */
  takePollErrand() {
    const ticket = this.raw.take_poll_errand();
    if (ticket === 0) return null;
    const [since = "", etag = ""] = this.words().split(" ");
    return { ticket, since, etag };
  }

  /**
   * @param {boolean} ofFeed
   * @param {number} ticket
   * @param {Uint8Array} document empty when none could be had
   * @param {number} fetchedAt
   * @param {number} now
   * @returns {boolean} whether it was taken
   */
  keysFetched(ofFeed, ticket, document, fetchedAt, now) {
    const length = this.#write(document);
    return this.raw.keys_fetched(ofFeed, ticket, length, fetchedAt, now, jitter()) !== 0;
  }

  /**
   * @param {number} ticket
   * @param {Uint8Array} document empty when none could be had
   * @param {string} etag
   * @param {number} now
   * @returns {boolean} whether that is all; else do the errand for the feed's keys and call again
   */
  pollAnswered(ticket, document, etag, now) {
    const tag = encoder.encode(etag);
    this.#write(document, tag);
    return this.raw.poll_answered(ticket, document.length, tag.length, now, jitter()) !== 0;
  }

  /**
   * Why the keys are refused; nothing when they are not.
   *
   * @param {Uint8Array} document
   * @param {number} fetchedAt
   * @param {number} now
   */
  importKeys(document, fetchedAt, now) {
    return this.raw.import_keys(this.#write(document), fetchedAt, now) ? "" : this.words();
  }

  /**
   * @param {number} now
   * @returns {string} JSON
   */
  state(now) {
    this.raw.state(now);
    return this.words();
  }

  /**
   * What the library or the tables alone say of a signature.
   *
   * @param {"verify_signature" | "verify_signature_by_tables"} rule
   * @param {...Uint8Array} parts public key, message and signature
   * @returns {number}
   */
  verdict(rule, ...parts) {
    this.#write(...parts);
    return this.raw[rule](...parts.map((part) => part.length));
  }

  /** What the last call had to say. */
  words() {
    const { memory, output, output_len } = this.raw;
    return decoder.decode(new Uint8Array(memory.buffer, output(), output_len()));
  }

  /**
   * The number of bytes written.
   *
   * @param {...Uint8Array} parts
   */
  #write(...parts) {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const room = this.#room(length);
    let at = 0;
    for (const part of parts) {
      room.set(part, at);
      at += part.length;
    }
    return length;
  }

  /**
   * A token that does not fit is cut one byte above the limit, which is all the core has to know
   * about it.
   *
   * @param {string} token
   */
  #writeToken(token) {
    const room = this.#room(MAX_TOKEN_BYTES + 1);
    const { read, written } = encoder.encodeInto(token, room);
    return read < token.length ? room.length : written;
  }

  /** @param {number} length */
  #room(length) {
    const { memory, input } = this.raw;
    const at = input(length) >>> 0;
    const room = this.#tokenRoom;
    if (room.buffer !== memory.buffer || room.byteOffset !== at || room.length !== length) {
      this.#tokenRoom = new Uint8Array(memory.buffer, at, length);
    }
    return this.#tokenRoom;
  }
}

/** Spreads the retries of many verifiers; nothing secret. */
const jitter = () => Math.floor(Math.random() * 256);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The core's limit, repeated here only so that no more is copied. */
const MAX_TOKEN_BYTES = 8192;
