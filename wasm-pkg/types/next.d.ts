/** Next.js 14 and newer: middleware (called proxy since 16), route handlers, server components. */

import type { Auth, Charge, Credits, GuardOptions } from "@tollgate/verifier/backend";

export { Refusal } from "@tollgate/verifier/backend";
export type { Auth, Charge, Credits, GuardOptions, User } from "@tollgate/verifier/backend";

/**
 * ```js
 * // lib/tollgate.js
 * import { createVerifier } from "@tollgate/verifier/inline";
 * import { tollgate } from "@tollgate/verifier/next";
 *
 * const verifier = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 * export const { middleware, handler, auth } = tollgate({ verifier });
 * ```
 *
 * There is no `devBypass`: Next does not say from which address a request comes.
 */
export function tollgate(options: Omit<GuardOptions, "devBypass">): NextTollgate;

export interface NextTollgate {
  /**
   * Refuses early what must be refused. Verify again where the data is, by `handler` or `auth`:
   * a matcher that leaves out a path must not open it.
   *
   * ```js
   * // proxy.js, before Next 16 middleware.js
   * export { middleware as proxy } from "./lib/tollgate.js";
   * export const config = { matcher: "/api/:path*" };
   * ```
   */
  middleware(this: void, request: Request): Promise<Response | undefined>;

  /**
   * A route handler that is told who is asking, and that can cost credits.
   *
   * ```js
   * // app/api/report/route.js
   * export const POST = handler(async (request, { auth }) => Response.json(auth.user), {
   *   amount: 10,
   *   description: "A report",
   * });
   * ```
   */
  handler<Context extends object = object>(
    this: void,
    handle: (
      request: any,
      context: Context & { auth: Auth; credits: Credits },
    ) => Response | Promise<Response>,
    charge?: Charge<Request>,
  ): (request: Request, context: Context) => Promise<Response>;

  /**
   * Who is asking, in server components and actions.
   *
   * ```js
   * const { user } = await auth(await headers());
   * ```
   *
   * @throws Refusal when the request may not pass.
   */
  auth(this: void, headers: Headers): Promise<Auth | null>;
}
