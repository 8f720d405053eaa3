/**
 * A small strict JSON reader. `JSON.parse` lets two members share a name and believes the last
 * (RFC 8725, section 2.6), and rounds numbers before a rule has seen them.
 *
 * Objects are maps; numbers keep their text.
 *
 * @typedef {null | boolean | string | Num | Value[] | Map<string, Value>} Value
 * @typedef {Map<string, Value>} Members
 */

/** A number as it was written. */
export class Num {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * The object `text` consists of.
 *
 * @param {string} text
 * @returns {Members | null} `null` when it is anything else
 */
export function parseObject(text) {
  try {
    return Reader.whole(text);
  } catch (error) {
    if (error === REFUSED) return null;
    throw error;
  }
}

/**
 * A whole number of at most twelve digits.
 *
 * @param {Value | undefined} value
 * @returns {number | undefined}
 */
export const integer = (value) =>
  value instanceof Num && /^\d{1,12}$/.test(value.text) ? Number(value.text) : undefined;

class Reader {
  #at = 0;
  #text;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  /**
   * The object that is all of the text.
   *
   * @param {string} text
   */
  static whole(text) {
    const reader = new Reader(text);
    const object = reader.#object(MAX_DEPTH);
    reader.#skip();
    return reader.#at === text.length ? object : null;
  }

  /**
   * What matches here, stepped over.
   *
   * @param {RegExp} pattern sticky
   */
  #take(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? refuse();
    this.#at += found.length;
    return found;
  }

  #skip() {
    this.#take(SPACE);
  }

  /** @param {string} character */
  #eat(character) {
    this.#skip();
    const found = this.#text[this.#at] === character;
    if (found) this.#at += 1;
    return found;
  }

  /**
   * @param {number} depth how many levels may still open
   * @returns {Value}
   */
  #value(depth) {
    this.#skip();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      default: {
        const word = this.#take(WORD);
        return /[a-z]$/.test(word) ? JSON.parse(word) : new Num(word);
      }
    }
  }

  /** @param {number} depth */
  #object(depth) {
    /** @type {Members} */
    const members = new Map();
    this.#elements("{", "}", depth, () => {
      this.#skip();
      const name = this.#string();
      if (!this.#eat(":") || members.size === MAX_MEMBERS) refuse();
      const value = this.#value(depth - 1);
      if (members.has(name)) refuse();
      members.set(name, value);
    });
    return members;
  }

  /** @param {number} depth */
  #array(depth) {
    /** @type {Value[]} */
    const values = [];
    this.#elements("[", "]", depth, () => values.push(this.#value(depth - 1)));
    return values;
  }

  /**
   * @param {string} open
   * @param {string} close
   * @param {number} depth
   * @param {() => void} element
   */
  #elements(open, close, depth, element) {
    if (!this.#eat(open) || depth === 0) refuse();
    if (this.#eat(close)) return;
    do element();
    while (this.#eat(","));
    if (!this.#eat(close)) refuse();
  }

  /** @returns {string} */
  #string() {
    const raw = this.#take(STRING);
    // What the pattern lets through has one meaning, and `JSON.parse` knows it.
    const text = JSON.parse(raw);
    return LONE_SURROGATE.test(text) ? refuse() : text;
  }
}

/** @returns {never} */
function refuse() {
  throw REFUSED;
}

const REFUSED = {};
const SPACE = /[ \t\n\r]*/y;
const WORD = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The core's limits; see `shared-claims/src/limits.rs`. */
const MAX_DEPTH = 8;
const MAX_MEMBERS = 128;
