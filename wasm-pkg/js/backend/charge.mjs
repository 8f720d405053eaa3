/**
 * What a route costs: reserved before it runs, spent when it has succeeded, given back when it
 * has not.
 *
 * @import { Auth, Charge, Hold } from "../../types/backend.js"
 */

import { settingsOf } from "./credits.mjs";
import { missingToken } from "./refusal.mjs";

/**
 * @template Request
 * @param {Charge<Request>} charge
 */
export function checkCharge(charge) {
  const { amount, description, when = "on_success" } = charge;
  demand(
    typeof amount === "function" || (Number.isSafeInteger(amount) && amount > 0),
    "needs amount: whole credits, or a function of the request that returns them",
  );
  demand(
    typeof description === "string" && description !== "",
    "needs description: what it is for",
  );
  demand(["on_success", "before"].includes(when), 'needs when to be "on_success" or "before"');
  return { charge4xx: false, ...charge, when };
}

/**
 * Takes the credits of a request that is about to run. Returns what is owed afterwards: to be
 * called once, with the status of the answer, 0 when there was none.
 *
 * @template Request
 * @param {Charge<Request>} charge as `checkCharge` returned it
 * @param {Auth | null | undefined} auth
 * @param {Request} request
 * @returns {Promise<(status: number) => Promise<void>>}
 */
export async function beginCharge(charge, auth, request) {
  if (!auth) throw missingToken();
  const { credits } = auth;
  if (!credits) throw new TypeError("charge needs a guard with the option credits");
  const { description, metadata } = charge;
  const amount = typeof charge.amount === "function" ? await charge.amount(request) : charge.amount;
  if (amount === 0) return NOTHING_OWED;
  if (charge.when === "before") {
    await credits.use({ amount, description, ...(metadata ? { metadata } : {}) });
    return NOTHING_OWED;
  }
  const hold = await credits.hold({ amount, description });
  return (status) => settle(hold, isCharged(status, charge.charge4xx), settingsOf(credits));
}

/**
 * @param {number} status
 * @param {boolean | undefined} charge4xx
 */
const isCharged = (status, charge4xx) =>
  (status >= 100 && status < 400) || (charge4xx === true && status >= 400 && status < 500);

/**
 * Never rejects: the answer is on its way, and nobody is left to tell.
 *
 * @param {Hold} hold
 * @param {boolean} charged
 * @param {{ onUnsettled: (error: unknown, holdId: string) => void }} settings
 */
async function settle(hold, charged, { onUnsettled }) {
  const body = { idempotencyKey: `${charged ? "capture" : "release"}-${hold.id}` };
  let failure;
  for (const pauseMs of PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    try {
      await (charged ? hold.capture({ ...body, final: true }) : hold.release(body));
      return;
    } catch (error) {
      failure = error;
      if (/** @type {any} */ (error).status !== 503) break;
    }
  }
  onUnsettled(failure, hold.id);
}

const NOTHING_OWED = async () => {};

/** Before each attempt. A hold lives for five minutes; an issuer that restarts is back by then. */
const PAUSES_MS = [0, 200, 1000, 5000];

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new TypeError(`charge ${otherwise}`);
}
