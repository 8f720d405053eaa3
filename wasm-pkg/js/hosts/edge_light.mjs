/** Vercel's and Next's edge runtime: what a `.wasm?module` import gives is a compiled module. */

import module from "./verifier.wasm?module";

/** @type {import("../verifier.mjs").Host} */
export const host = {
  instantiate: () => new WebAssembly.Instance(module),
  requests: {},
  sendsEntityTags: true,
  keepAlive: (work) => waitUntil()?.(work),
  // A timer dies with the request that set it.
  hasTimers: false,
};

/** Where the two keep what belongs to the present request. */
function waitUntil() {
  const symbols = [Symbol.for("@next/request-context"), Symbol.for("@vercel/request-context")];
  const found = symbols.map(
    (symbol) => /** @type {any} */ (globalThis)[symbol]?.get?.()?.waitUntil,
  );
  return found.find((waitUntil) => typeof waitUntil === "function");
}
