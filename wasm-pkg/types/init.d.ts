/**
 * The verifier for programs that get hold of the module themselves: from
 * `@tollgate/verifier/verifier.wasm`, from a content network, out of a cache. Where the engine
 * knows relaxed SIMD, `@tollgate/verifier/verifier.fast.wasm` gives the same verdicts faster.
 */

export { createVerifier, VerifyError } from "@tollgate/verifier";
export type {
  AccessClaims,
  JsonWebKeySet,
  KeySetCopy,
  Verifier,
  VerifierOptions,
  VerifierState,
  VerifyErrorCode,
} from "@tollgate/verifier";

/**
 * Hands the module over, once, before the first `createVerifier`, which throws a `TypeError`
 * without it.
 *
 * ```js
 * import { readFileSync } from "node:fs";
 * import { createVerifier, initSync } from "@tollgate/verifier/init";
 *
 * initSync(readFileSync("verifier.wasm"));
 * ```
 *
 * The main thread of a browser refuses to compile a module this large at once: give it a
 * compiled one, or call `init`.
 */
export function initSync(source: WebAssembly.Module | BufferSource): void;

/**
 * The same for what has to be fetched or compiled.
 *
 * ```js
 * await init(fetch("/assets/verifier.wasm"));
 * ```
 *
 * @throws TypeError when the answer is not one of success.
 */
export function init(
  source:
    | WebAssembly.Module
    | BufferSource
    | Response
    | PromiseLike<WebAssembly.Module | BufferSource | Response>,
): Promise<void>;
