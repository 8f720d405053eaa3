/** Fastify 4 and 5. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Auth, Charge, Credits, GuardOptions } from "@tollgate/verifier/backend";

export { Refusal } from "@tollgate/verifier/backend";
export type { Auth, Charge, Credits, GuardOptions, User } from "@tollgate/verifier/backend";

/**
 * Protects every route of the scope that registers it. `request.auth` is who is asking.
 *
 * ```js
 * import Fastify from "fastify";
 * import { createVerifier } from "@tollgate/verifier";
 * import { tollgate } from "@tollgate/verifier/fastify";
 *
 * const verifier = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 * const app = Fastify();
 * app.register(async (api) => {
 *   await api.register(tollgate, { verifier });
 *   api.get("/api/me", (request) => request.auth.user);
 * });
 * ```
 *
 * With `credits: { baseUrl, appId }` there is `request.credits`, too.
 */
export function tollgate(fastify: FastifyInstance, options: GuardOptions): Promise<void>;

/**
 * Makes a route cost credits, in a scope with `tollgate` and `credits`.
 *
 * ```js
 * api.post("/api/report", { preHandler: charge({ amount: 10, description: "A report" }) }, handler);
 * ```
 */
export function charge(
  options: Charge<FastifyRequest>,
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

declare module "fastify" {
  interface FastifyRequest {
    /** Who is asking, behind `tollgate`; `null` for nobody, where that is allowed. */
    auth: Auth | null;
    /** With the option `credits`. */
    credits: Credits | null;
  }
}
