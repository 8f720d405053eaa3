/**
 * Who is asking, and may they: the part that every framework's integration shares.
 *
 * @import { AccessClaims } from "../../index.js"
 * @import { Auth, Guard, GuardOptions, User } from "../../types/backend.js"
 * @import { Incoming } from "./incoming.mjs"
 */

import { VerifyError } from "../errors.mjs";
import { creditsFor, checkCredits } from "./credits.mjs";
import { devBypass } from "./dev_bypass.mjs";
import { insufficientScope, missingToken, tokenRefused } from "./refusal.mjs";
import { tokenOf } from "./token.mjs";

/**
 * See `types/backend.d.ts`.
 *
 * @param {GuardOptions} options
 * @returns {Guard}
 */
export function createGuard(options) {
  const { verifier, required, roles, cookie, credits, bypass } = checkOptions(options);

  /** @param {Incoming} incoming */
  async function claimsOf(incoming) {
    const token = tokenOf(incoming, cookie);
    if (token !== null) return { token, claims: await verified(verifier, token) };
    if (bypass !== null) return { token, claims: bypass(incoming.peer, incoming.header) };
    if (required) throw missingToken();
    return null;
  }

  return Object.freeze({
    async authenticate(/** @type {Incoming} */ incoming) {
      const found = await claimsOf(incoming);
      if (found === null) return null;
      const { token, claims } = found;
      if (roles !== null && !roles.includes(claims.role ?? "")) throw insufficientScope();
      return authOf(token, claims, credits && creditsFor(credits, token));
    },
  });
}

/**
 * @param {Pick<import("../../index.js").Verifier, "verify">} verifier
 * @param {string} token
 */
async function verified(verifier, token) {
  try {
    return await verifier.verify(token);
  } catch (error) {
    throw error instanceof VerifyError ? tokenRefused(/** @type {any} */ (error)) : error;
  }
}

/**
 * @param {string | null} token
 * @param {AccessClaims} claims
 * @param {Auth["credits"] | null} credits
 * @returns {Auth}
 */
function authOf(token, claims, credits) {
  const auth = { user: userOf(claims), claims, token, ...(credits ? { credits } : {}) };
  // Where it can be passed on, and does not turn up in logs.
  return Object.freeze(Object.defineProperty(auth, "token", { enumerable: false }));
}

/**
 * @param {AccessClaims} claims
 * @returns {User}
 */
function userOf({ sub, email, email_verified, role, sid, act }) {
  return Object.freeze({
    id: sub,
    sessionId: sid,
    // An address nobody has proven is worse than none.
    ...(email !== undefined && email_verified === true ? { email } : {}),
    ...(role === undefined ? {} : { role }),
    ...(act === undefined ? {} : { actor: act.sub }),
  });
}

/** @param {GuardOptions} options */
function checkOptions(options) {
  demand(typeof options === "object" && options !== null, "needs an object with at least verifier");
  for (const name of Object.keys(options)) {
    demand(
      NAMES.includes(name),
      `does not know the option "${name}"; it knows ${NAMES.join(", ")}`,
    );
  }
  const { verifier, required = true, roles = [], cookie, credits } = options;
  demand(typeof verifier?.verify === "function", "needs verifier: what createVerifier returns");
  demand(typeof required === "boolean", "needs required to be true or false");
  demand(Array.isArray(roles) && roles.every(isText), 'needs roles to be names, such as ["admin"]');
  return {
    verifier,
    required,
    roles: roles.length === 0 ? null : [...roles],
    cookie: cookie === undefined ? null : checkCookie(cookie),
    credits: credits === undefined ? null : checkCredits(credits),
    bypass: devBypass(options.devBypass),
  };
}

/** @param {NonNullable<GuardOptions["cookie"]>} cookie */
function checkCookie({ name, origins }) {
  demand(
    isText(name) && name.startsWith("__Host-") && /^[\w-]+$/.test(name),
    "needs cookie.name to begin with __Host-: others can be set by neighbouring hosts",
  );
  demand(
    Array.isArray(origins) && origins.length > 0 && origins.every(isOrigin),
    'needs cookie.origins: the pages that may send it, such as ["https://app.example.com"]',
  );
  return { name, origins: [...origins] };
}

/** @param {unknown} text */
const isOrigin = (text) => isText(text) && URL.canParse(text) && new URL(text).origin === text;

/**
 * @param {unknown} value
 * @returns {value is string}
 */
const isText = (value) => typeof value === "string" && value !== "";

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new TypeError(`the guard ${otherwise}`);
}

const NAMES = ["verifier", "required", "roles", "cookie", "credits", "devBypass"];
