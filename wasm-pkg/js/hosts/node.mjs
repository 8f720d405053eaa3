/** Node, and everything that calls itself so. */

/** @type {WebAssembly.Module | undefined} */
let module;

/**
 * @param {() => BufferSource} readWasm
 * @returns {import("../verifier.mjs").Host}
 */
export const nodeHost = (readWasm) => ({
  instantiate() {
    module ??= new WebAssembly.Module(readWasm());
    return new WebAssembly.Instance(module);
  },
  requests: {},
  sendsEntityTags: true,
  keepAlive() {},
  hasTimers: true,
});
