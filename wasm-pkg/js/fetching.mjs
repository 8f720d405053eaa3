/**
 * Requests to the issuer: bounded in time and size, never redirected.
 *
 * @import { Runtime } from "./hosts/runtimes.mjs"
 * @import { Settings } from "./options.mjs"
 */

/**
 * The status is 0 when nothing could be had; the body is empty unless the status is 200.
 *
 * @typedef {{ status: number, body: Uint8Array, etag: string }} Fetched
 */

/**
 * A key set.
 *
 * @param {Pick<Runtime, "requests">} runtime
 * @param {Pick<Settings, "fetch">} settings
 * @param {string | null} url
 */
export async function getKeySet({ requests }, { fetch }, url) {
  return (await get(fetch, /** @type {string} */ (url), requests, MAX_KEY_SET_BYTES)).body;
}

/**
 * The feed: what came after `since`, and nothing when it is still the one of `etag`.
 *
 * @param {Runtime} runtime
 * @param {Settings} settings
 * @param {string} since
 * @param {string} etag
 */
export function getFeed({ requests, sendsEntityTags }, { fetch, revocationsUri }, since, etag) {
  const url = new URL(/** @type {string} */ (revocationsUri));
  if (since) url.searchParams.set("since", since);
  const headers = new Headers();
  if (etag && sendsEntityTags) headers.set("if-none-match", etag);
  return get(fetch, url.href, { ...requests, headers }, MAX_FEED_BYTES);
}

/**
 * Never rejects. The time limit is kept here, as a `fetch` of the caller's own need not heed the
 * signal.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} init
 * @param {number} maxBytes
 * @returns {Promise<Fetched>}
 */
async function get(fetch, url, init, maxBytes) {
  const abort = new AbortController();
  const nothing = { status: 0, body: new Uint8Array(), etag: "" };
  const request = { ...init, redirect: /** @type {const} */ ("manual"), signal: abort.signal };
  const fetched = read(fetch, url, request, maxBytes).catch(() => nothing);
  const inTime = await within(FETCH_TIMEOUT_MS, fetched);
  abort.abort();
  return inTime ? fetched : nothing;
}

/**
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} request
 * @param {number} maxBytes
 * @returns {Promise<Fetched>}
 */
async function read(fetch, url, request, maxBytes) {
  const { status, body, headers } = await fetch(url, request);
  const bytes = status === 200 && body ? await readBody(body, maxBytes) : new Uint8Array();
  return { status, body: bytes, etag: headers.get("etag") ?? "" };
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
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {number} maxBytes
 */
export async function readBody(stream, maxBytes) {
  const reader = stream.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    chunks.push(value);
    length += value.length;
    if (length > maxBytes) {
      reader.cancel().catch(() => {});
      throw new Error(`the answer is larger than ${maxBytes} bytes`);
    }
  }
}

/** Shorter than a verifier presumes a load dead. */
const FETCH_TIMEOUT_MS = 3000;

// The limits of `shared-claims`.
const MAX_KEY_SET_BYTES = 64 * 1024;
const MAX_FEED_BYTES = 256 * 1024;
