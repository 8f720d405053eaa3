/**
 * Express, and whatever else takes `(request, response, next)`.
 *
 * @import { Charge, GuardOptions } from "../../types/backend.js"
 */

import { beginCharge, checkCharge } from "../backend/charge.mjs";
import { createGuard } from "../backend/guard.mjs";
import { fromNode } from "../backend/incoming.mjs";
import { settleAfter } from "../backend/node_response.mjs";
import { Refusal } from "../backend/refusal.mjs";

export { Refusal };

/**
 * See `types/express.d.ts`.
 *
 * @param {GuardOptions} options
 */
export function tollgate(options) {
  const guard = createGuard(options);
  return step(async (request) => {
    request.auth = await guard.authenticate(fromNode(request));
    if (request.auth?.credits) request.credits = request.auth.credits;
  });
}

/**
 * See `types/express.d.ts`.
 *
 * @param {Charge<any>} options
 */
export function charge(options) {
  const checked = checkCharge(options);
  return step(async (request, response) => {
    settleAfter(response, await beginCharge(checked, request.auth, request));
  });
}

/**
 * Middleware that goes on after `act`, and answers what it refuses. Everything else that goes
 * wrong is the application's to answer.
 *
 * @param {(request: any, response: any) => Promise<void>} act
 */
function step(act) {
  return (/** @type {any} */ request, /** @type {any} */ response, /** @type {any} */ next) => {
    act(request, response).then(
      () => next(),
      (error) => (error instanceof Refusal ? answer(response, error) : next(error)),
    );
  };
}

/**
 * @param {any} response
 * @param {any} refusal
 */
function answer(response, { status, headers, problem }) {
  response.writeHead(status, headers).end(JSON.stringify(problem));
}
