/** Browsers, and runtimes that have no entry of their own. */

import { knowsRelaxedSimd } from "./relaxed_simd.mjs";

/** @type {Promise<WebAssembly.Module> | undefined} */
let module;

/** @type {import("../verifier.mjs").Host} */
export const host = {
  async instantiate() {
    module ??= load();
    // The next call tries again when the file could not be had.
    module.catch(() => (module = undefined));
    return WebAssembly.instantiate(await module);
  },
  // The browser's own cache asks the issuer with `If-None-Match`. If we did, each poll of
  // another origin would need a preflight.
  requests: { cache: "no-cache", credentials: "omit" },
  sendsEntityTags: false,
  keepAlive() {},
  hasTimers: true,
};

/** Not the streaming variant: it refuses the file when a server has not heard of its type. */
async function load() {
  // Bundlers look for exactly these expressions.
  const url = knowsRelaxedSimd()
    ? new URL("./verifier.fast.wasm", import.meta.url)
    : new URL("./verifier.wasm", import.meta.url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}
