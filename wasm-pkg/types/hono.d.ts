/** Hono 4, in every runtime it has. */

import type { Context, MiddlewareHandler } from "hono";
import type { Auth, Charge, Credits, GuardOptions } from "@tollgate/verifier/backend";

export { Refusal } from "@tollgate/verifier/backend";
export type { Auth, Charge, Credits, GuardOptions, User } from "@tollgate/verifier/backend";

/** For `new Hono<Tollgate>()`. */
export interface Tollgate {
  Variables: {
    /** Who is asking; `null` for nobody, where that is allowed. */
    auth: Auth | null;
    /** With the option `credits`. */
    credits: Credits;
  };
}

/**
 * Lets through who has a good token, as `c.var.auth`, and answers everybody else.
 *
 * ```js
 * import { Hono } from "hono";
 * import { createVerifier } from "@tollgate/verifier";
 * import { tollgate } from "@tollgate/verifier/hono";
 *
 * const verifier = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 * const app = new Hono();
 * app.use("/api/*", tollgate({ verifier }));
 * app.get("/api/me", (c) => c.json(c.var.auth.user));
 * ```
 *
 * With `credits: { baseUrl, appId }` there is `c.var.credits`, too.
 */
export function tollgate(options: GuardOptions): MiddlewareHandler<Tollgate>;

/**
 * Makes a route cost credits. Comes after `tollgate` with `credits`.
 *
 * ```js
 * app.post("/api/report", charge({ amount: 10, description: "A report" }), handler);
 * ```
 */
export function charge(options: Charge<Context>): MiddlewareHandler<Tollgate>;
