/**
 * Hono, in every runtime it has.
 *
 * @import { Charge, GuardOptions } from "../../types/backend.js"
 */

import { beginCharge, checkCharge } from "../backend/charge.mjs";
import { createGuard } from "../backend/guard.mjs";
import { fromWeb } from "../backend/incoming.mjs";
import { Refusal } from "../backend/refusal.mjs";

export { Refusal };

/**
 * See `types/hono.d.ts`.
 *
 * @param {GuardOptions} options
 */
export function tollgate(options) {
  const guard = createGuard(options);
  return step(async (c) => {
    const auth = await guard.authenticate(fromWeb(c.req.raw, peerOf(c)));
    c.set("auth", auth);
    if (auth?.credits) c.set("credits", auth.credits);
  });
}

/**
 * See `types/hono.d.ts`.
 *
 * @param {Charge<any>} options
 */
export function charge(options) {
  const checked = checkCharge(options);
  return step(async (c) => {
    const settle = await beginCharge(checked, c.get("auth"), c);
    return () => keepAlive(c, settle(c.res.status));
  });
}

/**
 * Middleware that does something before and, with what `act` returns, after the handler. A
 * handler that throws has become an answer by then.
 *
 * @param {(c: any) => Promise<void | (() => void)>} act
 */
function step(act) {
  return async (/** @type {any} */ c, /** @type {() => Promise<void>} */ next) => {
    let afterwards;
    try {
      afterwards = await act(c);
    } catch (error) {
      if (error instanceof Refusal) return /** @type {any} */ (error).toResponse();
      throw error;
    }
    await next();
    afterwards?.();
  };
}

/**
 * On Workers what is not announced ends with the answer.
 *
 * @param {any} c
 * @param {Promise<void>} work
 */
function keepAlive(c, work) {
  try {
    c.executionCtx.waitUntil(work);
  } catch {
    // Other runtimes have no such thing, and Hono says so by throwing.
  }
}

/**
 * Where the runtimes say who is at the other end: Node by `@hono/node-server`, Deno, Bun.
 *
 * @param {any} c
 * @returns {string | undefined}
 */
function peerOf({ env, req }) {
  return (
    env?.incoming?.socket?.remoteAddress ??
    env?.remoteAddr?.hostname ??
    (env?.server ?? env)?.requestIP?.(req.raw)?.address
  );
}
