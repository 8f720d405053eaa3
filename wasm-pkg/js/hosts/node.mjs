/** Node, and everything that calls itself so. */

import { knowsRelaxedSimd } from "./relaxed_simd.mjs";

/** @type {WebAssembly.Module | undefined} */
let module;

/**
 * @param {{ fast: () => BufferSource, plain: () => BufferSource }} read
 * @returns {import("../verifier.mjs").Host}
 */
export const nodeHost = (read) => ({
  instantiate() {
    module ??= new WebAssembly.Module(knowsRelaxedSimd() ? read.fast() : read.plain());
    return new WebAssembly.Instance(module);
  },
  requests: {},
  sendsEntityTags: true,
  keepAlive() {},
  hasTimers: true,
});
