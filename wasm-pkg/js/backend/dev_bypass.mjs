/**
 * The development bypass: a made-up user for requests without a token, on a developer's own
 * machine. Whatever could make it work anywhere else throws.
 *
 * @import { AccessClaims } from "../../index.js"
 * @import { DevUser } from "../../types/backend.js"
 */

import { isLoopback } from "./loopback.mjs";

/**
 * What makes the claims of the made-up user, once the surroundings allow one.
 *
 * @param {DevUser | undefined} user
 * @returns {((peer: string | undefined, headers: import("./incoming.mjs").Incoming["header"]) => AccessClaims) | null}
 */
export function devBypass(user) {
  if (user === undefined) return null;
  demand(
    typeof user === "object" && user !== null && isText(user.id),
    "needs a user: { id, email, role }",
  );
  demand(environment("NODE_ENV") === "development", 'works only with NODE_ENV === "development"');
  demand(environment("TOLLGATE_DEV_BYPASS") === "1", "works only with TOLLGATE_DEV_BYPASS=1");
  return (peer, header) => {
    demand(
      peer !== undefined && isLoopback(peer),
      "answers this machine only, and this request comes from elsewhere or from nobody knows where",
    );
    // A page elsewhere whose name was made to point here would ask under that name.
    const hosts = header("host").map((host) => host.replace(/:\d+$/, ""));
    demand(hosts.every(isLoopback), "answers to names of this machine only");
    for (const name of FORWARDED) {
      demand(
        header(name).length === 0,
        `answers this machine only, and this request carries ${name}`,
      );
    }
    return claimsOf(/** @type {DevUser} */ (user));
  };
}

/** @param {DevUser} user */
function claimsOf({ id, email, role }) {
  const now = Math.floor(Date.now() / 1000);
  return Object.freeze({
    iss: "urn:tollgate:dev-bypass",
    sub: id,
    aud: "urn:tollgate:dev-bypass",
    exp: now + LIFE_SECS,
    iat: now,
    jti: "dev-bypass",
    sid: "dev-bypass",
    ...(email === undefined ? {} : { email, email_verified: true }),
    ...(role === undefined ? {} : { role }),
  });
}

/**
 * Bundlers put the value of `process.env.NODE_ENV` in place of the name; this reads the other
 * way, so that a bundle made for production cannot be talked into anything.
 *
 * @param {string} name
 */
const environment = (name) => /** @type {any} */ (globalThis).process?.env?.[name];

/** @param {unknown} value */
const isText = (value) => typeof value === "string" && value !== "";

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new Error(`devBypass ${otherwise}`);
}

/** Somebody between us and the client: then the peer's address says nothing about the client. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/** As long as a real token's. */
const LIFE_SECS = 900;
