/**
 * The gateway's assertions, by the rules of `shared-claims/src/assertion.rs` and with the signature
 * by WebCrypto.
 *
 * @import { EdgeAssertion, EdgeVerifier, EdgeVerifierOptions, ReceivedRequest } from "../../types/edge.js"
 * @import { Members } from "../webcrypto/json.mjs"
 * @import { Settings } from "../options.mjs"
 */

import { checkToken, MAX_SECONDS } from "../checks.mjs";
import { getKeySet } from "../fetching.mjs";
import { onServers } from "../hosts/runtimes.mjs";
import { checkOptions } from "../options.mjs";
import { verifySigned } from "../webcrypto/ed25519.mjs";
import { integer } from "../webcrypto/json.mjs";
import { parseJws, readPayload, Refused } from "../webcrypto/jws.mjs";
import { refusalOf } from "../webcrypto/meanings.mjs";
import { EdgeKeys } from "./keys.mjs";

/**
 * @param {EdgeVerifierOptions} options
 * @returns {EdgeVerifier}
 */
export function createEdgeVerifier(options) {
  if (!globalThis.crypto?.subtle) throw new TypeError("createEdgeVerifier needs WebCrypto");
  const settings = checkEdgeOptions(options);
  const now = () => millis(settings);
  const keys = new EdgeKeys(() => getKeySet(onServers, settings, settings.jwksUri), now);
  const why = settings.keySet === null ? "" : keys.give(new TextEncoder().encode(settings.keySet));
  if (why) throw new TypeError(`createEdgeVerifier cannot use jwks: ${why}`);
  return Object.freeze({
    async verify(/** @type {string} */ assertion, /** @type {ReceivedRequest} */ request) {
      checkToken(assertion);
      const received = receivedOf(request);
      try {
        const text = await judge(assertion, received, settings, keys, now);
        // What was verified stays as it was.
        return JSON.parse(text, (_, value) => Object.freeze(value));
      } catch (error) {
        throw error instanceof Refused ? refusalOf(error.words) : error;
      }
    },
  });
}

/**
 * The payload of an assertion that is accepted.
 *
 * @param {string} assertion
 * @param {{ method: string, target: string }} received
 * @param {Settings} settings
 * @param {EdgeKeys} keys
 * @param {() => number} now
 */
async function judge(assertion, received, settings, keys, now) {
  if (new TextEncoder().encode(assertion).length > MAX_BYTES) throw new Refused("too_large");
  const jws = parseJws(assertion, "edge-assertion+jwt");
  if (!(await verifySigned(await keys.find(jws.kid), jws))) throw new Refused("bad_signature");
  const { text, members } = readPayload(jws.payload);
  check(readClaims(members), received, settings, Math.floor(now() / 1000));
  return text;
}

/**
 * The rules in their order.
 *
 * @param {any} claims
 * @param {{ method: string, target: string }} received
 * @param {Settings} settings
 * @param {number} now seconds
 */
function check({ iss, aud, exp, iat, htm, htu }, { method, target }, settings, now) {
  const { issuer, audiences, leewaySecs } = settings;
  if (iss !== issuer) throw new Refused("wrong_issuer");
  if (!audiences.includes(aud)) throw new Refused("wrong_audience");
  if (now >= exp + leewaySecs) throw new Refused("expired");
  if (iat > now + leewaySecs) throw new Refused("issued_in_future");
  if (exp - iat > MAX_LIFE_SECS) throw new Refused("lifetime_too_long");
  if (htm !== method) throw new Refused("invalid_claim (htm)");
  if (htu !== target) throw new Refused("invalid_claim (htu)");
}

/** @param {Members} payload */
function readClaims(payload) {
  /** @type {any} */
  const claims = {};
  for (const [name, read] of Object.entries(FORMS)) {
    claims[name] = read(payload.get(name));
    // A member that is there and is no text must not read as one that is not there.
    const isThere = payload.has(name) || !OPTIONAL.includes(name);
    if (isThere && claims[name] === undefined) throw new Refused("malformed (the payload)");
  }
  return claims;
}

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : undefined);

const FORMS = {
  iss: text,
  aud: text,
  sub: text,
  sid: text,
  role: text,
  jti: text,
  iat: integer,
  exp: integer,
  htm: text,
  htu: text,
};
const OPTIONAL = ["sub", "sid", "role"];

/**
 * Path and query as they stand: neither parsed nor decoded, because they are compared byte for byte.
 *
 * @param {ReceivedRequest} request
 */
function receivedOf(request) {
  const { method, url } = request ?? {};
  if (typeof method !== "string" || typeof url !== "string") {
    throw new TypeError("verify needs the request, or its { method, url }");
  }
  if (url.startsWith("/")) return { method, target: url };
  const path = url.indexOf("/", url.indexOf("://") + 3);
  return { method, target: path < 0 ? "/" : url.slice(path).split("#")[0] };
}

/**
 * @param {EdgeVerifierOptions} options
 * @returns {Settings}
 */
function checkEdgeOptions(options) {
  const isObject = typeof options === "object" && options !== null;
  if (isObject && "revocationsUri" in options) {
    throw new TypeError("createEdgeVerifier knows no revocationsUri: the gateway has looked there");
  }
  try {
    return checkOptions(isObject ? { issuer: DEFAULT_ISSUER, ...options } : options);
  } catch (error) {
    const { message } = /** @type {TypeError} */ (error);
    throw new TypeError(message.replace("createVerifier", "createEdgeVerifier"));
  }
}

/**
 * Milliseconds since 1970.
 *
 * @param {Settings} settings
 */
function millis({ clock }) {
  if (clock === null) return Date.now();
  const seconds = clock();
  if (typeof seconds === "number" && seconds >= 0 && seconds < MAX_SECONDS) {
    return Math.floor(seconds * 1000);
  }
  throw new TypeError(
    "the clock of createEdgeVerifier must return seconds since 1970, not milliseconds",
  );
}

/** `edge.iss` of a gateway whose `edge.toml` says nothing. */
const DEFAULT_ISSUER = "tollgate-edge";

// The core's limits; see `shared-claims/src/limits.rs`.
const MAX_BYTES = 8192;
const MAX_LIFE_SECS = 60;
