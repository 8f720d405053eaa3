/**
 * Cloudflare Workers: what the bundler gives for a `.wasm` import is a compiled module. Every
 * workerd since the middle of 2023 knows relaxed SIMD.
 */

import * as workers from "cloudflare:workers";
import module from "./verifier.fast.wasm";

/** @type {import("../verifier.mjs").Host} */
export const host = {
  instantiate: () => new WebAssembly.Instance(module),
  requests: {},
  sendsEntityTags: true,
  // Older runtimes do not export it. There a refresh may be cut off with the request it began
  // in, and a later request begins another.
  keepAlive: (work) => workers.waitUntil?.(work),
  // A timer dies with the request that set it.
  hasTimers: false,
};
