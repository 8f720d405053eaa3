/**
 * For a backend that can be reached around the gateway: it believes what the gateway has signed,
 * and no header. By WebCrypto with Ed25519 (Node 20, Deno, Bun, Workers, Next's edge runtime); there
 * is no WebAssembly in it.
 */

import type { JsonWebKeySet } from "@tollgate/verifier";

export { VerifyError } from "@tollgate/verifier";
export type { JsonWebKeySet, VerifyErrorCode } from "@tollgate/verifier";

/**
 * Makes a verifier for the header `x-edge-assertion`. It returns at once; the gateway's keys are
 * fetched when the first request comes, and again before they are too old.
 *
 * ```js
 * import { createEdgeVerifier } from "@tollgate/verifier/edge";
 *
 * const edge = createEdgeVerifier({
 *   audience: "orders", // backend.name in edge.toml
 *   jwksUri: "https://edge.example.com/.well-known/edge-jwks.json",
 * });
 *
 * app.use(async (req, res, next) => {
 *   try {
 *     const url = req.originalUrl;
 *     req.edge = await edge.verify(req.get("x-edge-assertion") ?? "", { method: req.method, url });
 *     next();
 *   } catch (error) {
 *     res.status(error.code === "keys_unavailable" ? 503 : 401).json({ code: error.code });
 *   }
 * });
 * ```
 *
 * @throws TypeError when an option is missing, unknown or out of range; it says what to do.
 */
export function createEdgeVerifier(options: EdgeVerifierOptions): EdgeVerifier;

/** Whom to trust, and where its keys are: either `jwksUri` or `jwks`. */
export type EdgeVerifierOptions = EdgePolicyOptions & (FetchedEdgeKeys | GivenEdgeKeys);

export interface EdgePolicyOptions {
  /** The name of this backend in `edge.toml` (`backend.name`; its URL where there is none). */
  audience: string | readonly string[];

  /**
   * `edge.iss` of the gateway's `edge.toml`.
   *
   * @default "tollgate-edge"
   */
  issuer?: string;

  /**
   * Seconds by which the gateway's clock and this one may differ: 0 to 120.
   *
   * @default 30
   */
  leeway?: number;

  /**
   * The time in seconds since 1970.
   *
   * @default () => Date.now() / 1000
   */
  clock?: () => number;

  /**
   * Used in place of the global `fetch`.
   *
   * @default fetch
   */
  fetch?: typeof fetch;
}

/** Keys that are fetched and kept fresh. */
export interface FetchedEdgeKeys {
  /** Where the gateway's keys are: `/.well-known/edge-jwks.json`. https, or http on this machine. */
  jwksUri: string | URL;
  jwks?: undefined;
}

/** Keys that are given once and never change. */
export interface GivenEdgeKeys {
  /** The gateway's key set. */
  jwks: JsonWebKeySet;
  jwksUri?: undefined;
}

/** Verifies assertions. Its function can be passed around without it. */
export interface EdgeVerifier {
  /**
   * Verifies the assertion of a request: that the gateway has let this method, path and query
   * through to this backend within the last minute. It returns the claims, frozen.
   *
   * ```js
   * const { sub, role } = await edge.verify(request.headers.get("x-edge-assertion") ?? "", request);
   * ```
   *
   * Whoever has seen an assertion can repeat the same request for a minute and the leeway. Where that
   * matters, remember `jti` for as long.
   *
   * @param assertion The value of the header `x-edge-assertion`; an empty text when there is none.
   * @param request The request, or its method and URL as they came: `originalUrl` in Express.
   * @throws VerifyError when it is refused, or cannot be judged (`keys_unavailable`). `invalid_claim`
   * with `claim` `htm` or `htu` means that it was made for another request.
   */
  verify(this: void, assertion: string, request: ReceivedRequest): Promise<EdgeAssertion>;
}

/** What is needed of a request. Those of Node, of `fetch` and of most frameworks have it. */
export interface ReceivedRequest {
  /** In capitals. */
  readonly method?: string | undefined;
  /** Path and query, or the whole URL, neither decoded nor changed. */
  readonly url?: string | undefined;
}

/** What the gateway says of a request. Times are seconds since 1970. */
export interface EdgeAssertion {
  /** The gateway. */
  readonly iss: string;
  /** The backend it is for. */
  readonly aud: string;
  /** The user; not there when the route let the request pass without a token. */
  readonly sub?: string;
  /** The session of the access token. */
  readonly sid?: string;
  /** What the user may do. */
  readonly role?: string;
  /** The id of the request, which is also in `x-request-id`. */
  readonly jti: string;
  /** When it was signed. */
  readonly iat: number;
  /** From this second on it is void. */
  readonly exp: number;
  /** The method of the request. */
  readonly htm: string;
  /** Its path and query. */
  readonly htu: string;
}
