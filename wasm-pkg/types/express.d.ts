/** Express 4 and 5, and whatever else takes `(request, response, next)`. */

import type { Auth, Charge, Credits, GuardOptions } from "@tollgate/verifier/backend";

export { Refusal } from "@tollgate/verifier/backend";
export type { Auth, Charge, Credits, GuardOptions, User } from "@tollgate/verifier/backend";

/** Nothing here needs Express but its shape. */
export type Middleware = (request: any, response: any, next: (error?: any) => void) => void;

/**
 * Lets through who has a good token, as `request.auth`, and answers everybody else.
 *
 * ```js
 * import express from "express";
 * import { createVerifier } from "@tollgate/verifier";
 * import { tollgate } from "@tollgate/verifier/express";
 *
 * const verifier = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 * const app = express();
 * app.use("/api", tollgate({ verifier }));
 * app.get("/api/me", (request, response) => response.json(request.auth.user));
 * ```
 *
 * With `credits: { baseUrl, appId }` there is `request.credits`, too.
 */
export function tollgate(options: GuardOptions): Middleware;

/**
 * Makes a route cost credits. Comes after `tollgate` with `credits`.
 *
 * ```js
 * app.post("/api/report", charge({ amount: 10, description: "A report" }), handler);
 * ```
 */
export function charge<Request = any>(options: Charge<Request>): Middleware;

declare global {
  namespace Express {
    interface Request {
      /** Who is asking, behind `tollgate`; `null` for nobody, where that is allowed. */
      auth?: Auth | null;
      /** With the option `credits`. */
      credits?: Credits;
    }
  }
}
