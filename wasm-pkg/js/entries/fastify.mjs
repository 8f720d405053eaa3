/**
 * Fastify.
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
 * See `types/fastify.d.ts`.
 *
 * @param {any} fastify
 * @param {GuardOptions} options
 */
export async function tollgate(fastify, options) {
  const guard = createGuard(options);
  fastify.decorateRequest("auth", null);
  fastify.decorateRequest("credits", null);
  fastify.addHook("onRequest", (/** @type {any} */ request, /** @type {any} */ reply) =>
    step(reply, async () => {
      request.auth = await guard.authenticate(fromNode(request.raw));
      request.credits = request.auth?.credits ?? null;
    }),
  );
}

// The hook is for the scope that registers the plugin, not for one of the plugin's own.
Object.assign(tollgate, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "@tollgate/verifier",
});

/**
 * See `types/fastify.d.ts`.
 *
 * @param {Charge<any>} options
 */
export function charge(options) {
  const checked = checkCharge(options);
  return (/** @type {any} */ request, /** @type {any} */ reply) =>
    step(reply, async () => {
      settleAfter(reply.raw, await beginCharge(checked, request.auth, request));
    });
}

/**
 * @param {any} reply
 * @param {() => Promise<void>} act
 */
async function step(reply, act) {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { status, headers, problem } = /** @type {any} */ (error);
    // Returned, it tells Fastify that there is nothing left to do.
    return reply.code(status).headers(headers).send(JSON.stringify(problem));
  }
}
