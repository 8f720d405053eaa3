/**
 * Next.js: middleware (since version 16 called proxy), route handlers, server components.
 *
 * @import { Charge, GuardOptions } from "../../types/backend.js"
 */

import { beginCharge, checkCharge } from "../backend/charge.mjs";
import { createGuard } from "../backend/guard.mjs";
import { fromWeb } from "../backend/incoming.mjs";
import { Refusal } from "../backend/refusal.mjs";

export { Refusal };

/**
 * See `types/next.d.ts`.
 *
 * @param {Omit<GuardOptions, "devBypass">} options
 */
export function tollgate(options) {
  if ("devBypass" in options) {
    throw new TypeError(
      "Next does not say from which address a request comes, so devBypass cannot be safe there: sign in, or put it on the backend behind",
    );
  }
  const guard = createGuard(options);
  const authenticate = (/** @type {Request} */ request) => guard.authenticate(fromWeb(request));
  return Object.freeze({
    middleware: (/** @type {Request} */ request) =>
      refusable(async () => {
        await authenticate(request);
        // Nothing returned lets the request pass.
      }),
    handler:
      (/** @type {any} */ handle, /** @type {Charge<Request> | undefined} */ charge) =>
      (/** @type {Request} */ request, /** @type {any} */ context) =>
        refusable(async () => {
          const auth = await authenticate(request);
          const act = () => handle(request, { ...context, auth, credits: auth?.credits });
          return charge === undefined ? act() : charged(checkCharge(charge), auth, request, act);
        }),
    auth: (/** @type {Headers} */ headers) =>
      guard.authenticate({ method: "GET", header: (name) => valuesOf(headers, name) }),
  });
}

/**
 * @param {Charge<Request>} charge
 * @param {any} auth
 * @param {Request} request
 * @param {() => Promise<Response>} act
 */
async function charged(charge, auth, request, act) {
  const settle = await beginCharge(charge, auth, request);
  let status = 0;
  try {
    const response = await act();
    status = response.status;
    return response;
  } finally {
    // Awaited, as a function host may stop the moment the answer is given.
    await settle(status);
  }
}

/** @param {() => Promise<any>} act */
async function refusable(act) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Refusal) return /** @type {any} */ (error).toResponse();
    throw error;
  }
}

/**
 * @param {Headers} headers
 * @param {string} name
 */
function valuesOf(headers, name) {
  const value = headers.get(name);
  return value === null ? [] : [value];
}
