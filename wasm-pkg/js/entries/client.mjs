import { AuthClient } from "../client/client.mjs";

export { AuthError } from "../client/errors.mjs";
export { cookieStorage, memoryStorage } from "../client/storage.mjs";

/**
 * See `types/client.d.ts`.
 *
 * @param {import("../../types/client.js").AuthClientOptions} options
 * @returns {import("../../types/client.js").AuthClient}
 */
export function createAuthClient(options) {
  const client = new AuthClient(options);
  const bound = Object.fromEntries(
    NAMES.map((name) => [
      name,
      (/** @type {any[]} */ ...args) => /** @type {any} */ (client)[name](...args),
    ]),
  );
  return Object.freeze(/** @type {any} */ (bound));
}

const NAMES = [
  "register",
  "login",
  "finishLogin",
  "logout",
  "session",
  "accessToken",
  "refresh",
  "fetch",
  "on",
  "close",
];
