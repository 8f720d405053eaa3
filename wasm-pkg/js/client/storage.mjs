/**
 * Where credentials are kept. Any object with `getItem`, `setItem` and `removeItem` will do,
 * whether or not they return promises: `localStorage` is one, and so are those of mobile apps.
 *
 * @import { AuthStorage, CookieJar } from "../../types/client.js"
 */

/**
 * See `types/client.d.ts`.
 *
 * @returns {AuthStorage}
 */
export function memoryStorage() {
  /** @type {Map<string, string>} */
  const items = new Map();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/**
 * See `types/client.d.ts`.
 *
 * @param {CookieJar} jar
 * @param {{ maxAgeSeconds?: number }} [options]
 * @returns {AuthStorage}
 */
export function cookieStorage(jar, { maxAgeSeconds = REFRESH_TOKEN_LIFE_SECS } = {}) {
  const attributes = { path: "/", httpOnly: true, secure: true, sameSite: "lax" };
  return {
    async getItem(key) {
      const found = await jar.get(nameOf(key));
      const value = typeof found === "object" ? found?.value : found;
      return value ? decodeURIComponent(value) : null;
    },
    setItem: (key, value) =>
      jar.set(
        nameOf(key),
        encodeURIComponent(value),
        /** @type {any} */ ({ ...attributes, maxAge: maxAgeSeconds }),
      ),
    removeItem: (key) =>
      jar.set(nameOf(key), "", /** @type {any} */ ({ ...attributes, maxAge: 0 })),
  };
}

/**
 * Neighbouring hosts cannot set cookies of this prefix.
 *
 * @param {string} key
 */
const nameOf = (key) => `__Host-${key.replace(/[^\w-]/g, "-")}`;

/** The issuer's default: a week. */
const REFRESH_TOKEN_LIFE_SECS = 604_800;
