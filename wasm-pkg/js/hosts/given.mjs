/** Wherever the program itself gets hold of the module, and hands it over once. */

/** @type {WebAssembly.Module | undefined} */
let module;

/**
 * See `types/init.d.ts`.
 *
 * @param {WebAssembly.Module | BufferSource} source
 */
export function initSync(source) {
  if (source instanceof WebAssembly.Module) module = source;
  else module = new WebAssembly.Module(source);
}

/**
 * See `types/init.d.ts`.
 *
 * @param {WebAssembly.Module | BufferSource | Response | PromiseLike<WebAssembly.Module | BufferSource | Response>} source
 */
export async function init(source) {
  const given = await source;
  const bytes = given instanceof Response ? await bodyOf(given) : given;
  module = bytes instanceof WebAssembly.Module ? bytes : await WebAssembly.compile(bytes);
}

/**
 * @param {import("./runtimes.mjs").Runtime} runtime
 * @returns {import("../verifier.mjs").Host}
 */
export const givenHost = (runtime) => ({
  ...runtime,
  instantiate() {
    if (module) return new WebAssembly.Instance(module);
    throw new TypeError("createVerifier needs the module first: call init or initSync with it");
  },
});

/** @param {Response} response */
async function bodyOf(response) {
  if (!response.ok) throw new TypeError(`init needs the module, and got HTTP ${response.status}`);
  return response.arrayBuffer();
}
