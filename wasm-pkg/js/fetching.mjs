/**
 * Requests to the issuer: bounded in time and size, never redirected.
 */

/**
 * The body is empty unless the status is 200.
 *
 * @typedef {{ status: number, body: Uint8Array, etag: string }} Fetched
 */

/**
 * Rejects on anything but an answer with a body of at most `maxBytes`.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} init
 * @param {number} maxBytes
 * @returns {Promise<Fetched>}
 */
export async function get(fetch, url, init, maxBytes) {
  const abort = new AbortController();
  const request = fetch(url, { ...init, redirect: "manual", signal: abort.signal });
  const fetched = request.then((response) => readResponse(response, maxBytes));
  // The time limit is kept here, as a `fetch` of the caller's own need not heed the signal.
  const inTime = await within(FETCH_TIMEOUT_MS, fetched);
  abort.abort();
  if (inTime) return fetched;
  throw new Error(`no answer within ${FETCH_TIMEOUT_MS} ms`);
}

/**
 * Whether `promise` was settled within so many milliseconds.
 *
 * @param {number} ms
 * @param {Promise<unknown>} promise
 * @returns {Promise<boolean>}
 */
export function within(ms, promise) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {Response} response
 * @param {number} maxBytes
 * @returns {Promise<Fetched>}
 */
async function readResponse(response, maxBytes) {
  const { status, body, headers } = response;
  const etag = headers.get("etag") ?? "";
  if (status !== 200 || body === null) return { status, body: new Uint8Array(), etag };
  return { status, body: await readBody(body, maxBytes), etag };
}

/**
 * @param {ReadableStream<Uint8Array>} stream
 * @param {number} maxBytes
 */
export async function readBody(stream, maxBytes) {
  const reader = stream.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(chunks, length);
    chunks.push(value);
    length += value.length;
    if (length > maxBytes) {
      reader.cancel().catch(() => {});
      throw new Error(`the answer is larger than ${maxBytes} bytes`);
    }
  }
}

/**
 * @param {Uint8Array[]} chunks
 * @param {number} length
 */
function joined(chunks, length) {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Shorter than a verifier presumes a load dead. */
const FETCH_TIMEOUT_MS = 3000;
