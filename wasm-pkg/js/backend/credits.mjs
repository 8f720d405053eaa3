/**
 * The credit account of whoever is asking, through the issuer's API.
 *
 * 1. Every request that moves credits has an idempotency key, ours if the caller gives none, so
 *    that asking again after a lost answer moves nothing twice.
 * 2. What the issuer refuses is a `Refusal` with the issuer's own code; that it cannot be
 *    reached is one, too (503).
 *
 * @import { Credits, CreditsOptions, Hold } from "../../types/backend.js"
 */

import { readBody } from "../fetching.mjs";
import { isLoopback } from "./loopback.mjs";
import { issuerAway, issuerRefused } from "./refusal.mjs";

/**
 * @typedef {{ base: string, appId: string, serviceToken: string | null, fetch: typeof fetch, onUnsettled: (error: unknown, holdId: string) => void }} CreditsSettings
 */

/**
 * @param {CreditsOptions} options
 * @returns {CreditsSettings}
 */
export function checkCredits({ baseUrl, appId, serviceToken, fetch, onUnsettled }) {
  const base = URL.canParse(String(baseUrl)) ? new URL(String(baseUrl)) : null;
  demand(base !== null, "needs credits.baseUrl: where the issuer is");
  demand(
    base.protocol === "https:" || (base.protocol === "http:" && isLoopback(base.hostname)),
    "needs credits.baseUrl to be https; http is for this machine only",
  );
  demand(typeof appId === "string" && appId !== "", "needs credits.appId: whose spending it is");
  demand(
    serviceToken === undefined ||
      (typeof serviceToken === "string" && serviceToken.startsWith("tgs_")),
    "needs credits.serviceToken to be the secret of a service, which begins with tgs_",
  );
  return {
    base: base.href.replace(/\/$/, ""),
    appId,
    serviceToken: serviceToken ?? null,
    fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)),
    onUnsettled: onUnsettled ?? reportUnsettled,
  };
}

/**
 * @param {CreditsSettings} settings
 * @param {string | null} token `null` for the made-up user of the development bypass
 * @returns {Credits}
 */
export function creditsFor(settings, token) {
  /** @type {Asking} */
  const asUser = (method, path, body) => ask(settings, token, method, path, body);
  const credits = {
    balance: () => asUser("GET", "balance"),
    use: (/** @type {Parameters<Credits["use"]>[0]} */ spending) =>
      asUser("POST", "use", withKey({ ...spending, appId: settings.appId })),
    async hold(/** @type {Parameters<Credits["hold"]>[0]} */ spending) {
      const body = withKey({ ...spending, appId: settings.appId });
      const { hold } = await asUser("POST", "holds", body);
      return holdOf(settings, settings.serviceToken ?? token, hold);
    },
  };
  // For `charge`, which is handed this object and nothing else.
  return Object.freeze(Object.defineProperty(credits, SETTINGS, { value: settings }));
}

/**
 * What `credits` was made with.
 *
 * @param {Credits} credits
 * @returns {CreditsSettings}
 */
export const settingsOf = (credits) => /** @type {any} */ (credits)[SETTINGS];

/**
 * @typedef {(method: string, path: string, body?: object) => Promise<any>} Asking
 */

/**
 * @param {CreditsSettings} settings
 * @param {string | null} token
 * @param {Omit<Hold, "capture" | "release">} hold
 * @returns {Hold}
 */
function holdOf(settings, token, hold) {
  const end = (/** @type {string} */ act, /** @type {object} */ body) =>
    ask(settings, token, "POST", `holds/${encodeURIComponent(hold.id)}/${act}`, withKey(body));
  return Object.freeze({
    ...hold,
    capture: (body = {}) => end("capture", body),
    release: (body = {}) => end("release", body),
  });
}

/**
 * Asks once more when the first answer is lost: the key makes that safe.
 *
 * @param {CreditsSettings} settings
 * @param {string | null} token
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function ask(settings, token, method, path, body) {
  if (token === null) {
    throw new Error("the user of devBypass has no credit account: sign in to try credits");
  }
  const url = `${settings.base}/api/v1/credits/${path}`;
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body ? { "content-type": "application/json" } : {}),
  };
  const request = { method, headers, body: body ? JSON.stringify(body) : undefined };
  const attempt = () => answerOf(settings.fetch, url, request);
  const { status, document, retryAfter } = await attempt()
    .catch(attempt)
    .catch((cause) => {
      throw issuerAway(cause);
    });
  if (status >= 200 && status < 300) return document;
  if (typeof document?.code !== "string" || status >= 500) throw issuerAway();
  throw issuerRefused(status, document, retryAfter);
}

/**
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} request
 */
async function answerOf(fetch, url, request) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { ...request, redirect: "manual", signal });
  const bytes = response.body ? await readBody(response.body, MAX_ANSWER_BYTES) : new Uint8Array();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    document: isJson ? JSON.parse(new TextDecoder().decode(bytes)) : null,
    retryAfter: Number(response.headers.get("retry-after")) || undefined,
  };
}

/**
 * @template {{ idempotencyKey?: string }} T
 * @param {T} body
 */
const withKey = (body) => ({ ...body, idempotencyKey: body.idempotencyKey ?? crypto.randomUUID() });

/**
 * @param {unknown} error
 * @param {string} holdId
 */
function reportUnsettled(error, holdId) {
  console.error(`hold ${holdId} could not be settled and ends by itself:`, error);
}

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new TypeError(`the guard ${otherwise}`);
}

/** The entries are bundles of their own: one may be handed what another has made. */
const SETTINGS = Symbol.for("@tollgate/verifier/credits");

/** An answer that takes longer keeps a request of somebody else waiting, too. */
const TIMEOUT_MS = 5000;

/** Far more than a transaction with the largest metadata the issuer takes (4 KiB). */
const MAX_ANSWER_BYTES = 64 * 1024;
