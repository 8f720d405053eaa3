/**
 * Questions to the issuer: bounded in time, and every answer that is not a good one an error.
 */

import { AuthError } from "./errors.mjs";

/**
 * @param {{ base: string, fetch: typeof globalThis.fetch }} settings
 * @param {string} path
 * @param {{ body?: object, token?: string, method?: string }} [more]
 * @returns {Promise<any>}
 */
export async function ask({ base, fetch }, path, { body, token, method = "POST" } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (token) headers["authorization"] = `Bearer ${token}`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const request = { method, headers, body: body && JSON.stringify(body), signal };
  let response;
  let answer;
  try {
    response = await fetch(`${base}/api/v1/auth/${path}`, { ...request, redirect: "error" });
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch (cause) {
    throw new AuthError("unavailable", { detail: "the issuer cannot be reached", cause });
  }
  if (response.ok) return answer;
  const { status } = response;
  const retryAfter = Number(response.headers.get("retry-after")) || undefined;
  // Something between us and the issuer has answered.
  if (typeof answer?.code !== "string") throw new AuthError("unavailable", { status, retryAfter });
  const { code, detail, errors } = answer;
  throw new AuthError(code, { status, detail, errors, retryAfter });
}

/** Logins wait for a password to be hashed, and for others'. */
const TIMEOUT_MS = 15_000;
