/**
 * SHA-256 (FIPS 180-4) that does not wait: WebCrypto's would make a promise of every comparison
 * with the revocation list. What is hashed here is public and short.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function sha256(text) {
  const message = new TextEncoder().encode(text);
  const blocks = new Uint8Array(((message.length + 72) >> 6) << 6);
  blocks.set(message);
  blocks[message.length] = 0x80;
  const view = new DataView(blocks.buffer);
  view.setUint32(blocks.length - 4, message.length * 8);
  const state = INITIAL.slice();
  for (let at = 0; at < blocks.length; at += 64) compress(state, view, at);
  state.forEach((word, i) => view.setInt32(4 * i, word));
  return blocks.subarray(0, 32);
}

/**
 * @param {Int32Array} state
 * @param {DataView} view
 * @param {number} at
 */
function compress(state, view, at) {
  const w = new Int32Array(64);
  let [a, b, c, d, e, f, g, h] = /** @type {any} */ (state);
  for (let i = 0; i < 64; i += 1) {
    w[i] = i < 16 ? view.getInt32(at + 4 * i) : schedule(w, i);
    const t1 = h + sum(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + ROUND[i] + w[i];
    const t2 = sum(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word));
}

/**
 * @param {any} w
 * @param {number} i
 */
function schedule(w, i) {
  const [x, y] = [w[i - 15], w[i - 2]];
  const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
  const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
  return w[i - 16] + s0 + w[i - 7] + s1;
}

/**
 * @param {number} x
 * @param {number} n
 */
const rotate = (x, n) => (x >>> n) | (x << (32 - n));

/**
 * @param {number} x
 * @param {number} i
 * @param {number} j
 * @param {number} k
 */
const sum = (x, i, j, k) => rotate(x, i) ^ rotate(x, j) ^ rotate(x, k);

/** The first primes. */
const PRIMES = /** @type {any} */ ([]);
for (let n = 2; PRIMES.length < 64; n += 1)
  if (PRIMES.every((/** @type {number} */ p) => n % p)) PRIMES.push(n);

/**
 * The first 32 bits of the fractional parts of their square and cube roots (sections 4.2.2 and
 * 5.3.3): a double holds them exactly, as the roots are below eight.
 */
const fraction = (/** @type {number} */ x) => ((x % 1) * 2 ** 32) | 0;
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const ROUND = /** @type {any} */ (Int32Array.from(PRIMES, (p) => fraction(Math.cbrt(p))));
