/** Wherever a file beside the program cannot be had: the module is part of the program. */

import base64 from "./verifier.wasm.base64";

/** @type {WebAssembly.Module | undefined} */
let module;

/**
 * @param {import("./runtimes.mjs").Runtime} runtime
 * @returns {import("../verifier.mjs").Host}
 */
export const inlineHost = (runtime) => ({
  ...runtime,
  // Not `new WebAssembly.Instance`: the main thread of a browser refuses a module this large.
  async instantiate() {
    module ??= await WebAssembly.compile(bytes());
    return WebAssembly.instantiate(module);
  },
});

const bytes = () => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
