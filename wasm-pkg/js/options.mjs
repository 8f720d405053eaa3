/**
 * What `createVerifier` is given, checked once.
 *
 * @import { VerifierOptions } from "../index.js"
 */

/**
 * @typedef {object} Settings
 * @property {string} issuer
 * @property {readonly string[]} audiences
 * @property {string | null} keySet the text of a key set that was given
 * @property {string | null} jwksUri
 * @property {string | null} revocationsUri
 * @property {string | null} feedJwksUri
 * @property {number} leewaySecs
 * @property {(() => number) | null} clock
 * @property {typeof fetch} fetch
 */

/**
 * @param {VerifierOptions} options
 * @returns {Settings}
 */
export function checkOptions(options) {
  demand(isObject(options), "needs an object with at least issuer, audience, and jwks or jwksUri");
  for (const name of Object.keys(options)) {
    demand(
      NAMES.includes(name),
      `does not know the option "${name}"; it knows ${NAMES.join(", ")}`,
    );
  }
  const { issuer, jwks, jwksUri, revocationsUri, leeway = DEFAULT_LEEWAY_SECS, clock } = options;
  demand(
    isText(issuer),
    'needs issuer: the text of the claim iss, such as "https://id.example.com"',
  );
  demand(
    (jwks === undefined) !== (jwksUri === undefined),
    "needs either jwks or jwksUri, and not both",
  );
  demand(
    Number.isInteger(leeway) && leeway >= 0 && leeway <= MAX_LEEWAY_SECS,
    `needs a leeway of 0 to ${MAX_LEEWAY_SECS} whole seconds`,
  );
  demand(
    clock === undefined || typeof clock === "function",
    "needs clock to be a function: () => seconds",
  );
  const feed = revocationsUri === undefined ? null : url("revocationsUri", revocationsUri);
  return {
    issuer,
    audiences: checkAudience(options.audience),
    keySet: jwks === undefined ? null : keySetText(jwks),
    jwksUri: jwksUri === undefined ? null : url("jwksUri", jwksUri),
    revocationsUri: feed,
    feedJwksUri: feed && new URL("feed-jwks.json", feed).href,
    leewaySecs: leeway,
    clock: clock ?? null,
    fetch: checkFetch(options.fetch),
  };
}

/** @param {unknown} audience */
function checkAudience(audience) {
  const audiences = Array.isArray(audience) ? [...audience] : [audience];
  demand(
    audiences.length > 0 && audiences.every(isText),
    'needs audience: the name that tokens for you carry in aud, such as "orders", or several in an array',
  );
  return audiences;
}

/** @param {unknown} jwks */
function keySetText(jwks) {
  demand(
    isObject(jwks) && Array.isArray(/** @type {any} */ (jwks).keys),
    "needs jwks to be a key set as an object: { keys: [ … ] }",
  );
  return JSON.stringify(jwks);
}

/**
 * The global one is looked up at each call, so that it can be replaced later.
 *
 * @param {typeof fetch | undefined} own
 * @returns {typeof fetch}
 */
function checkFetch(own) {
  demand(
    own === undefined || typeof own === "function",
    "needs fetch to be a function like the global one",
  );
  return own ?? ((input, init) => globalThis.fetch(input, init));
}

/**
 * Keys that arrive unprotected are anybody's keys.
 *
 * @param {string} name
 * @param {unknown} value
 */
function url(name, value) {
  demand(
    (typeof value === "string" || value instanceof URL) && URL.canParse(value),
    `needs ${name} to be an absolute URL`,
  );
  const { protocol, hostname, username, password, href } = new URL(value);
  demand(username + password === "", `needs ${name} without user name and password`);
  demand(
    protocol === "https:" || (protocol === "http:" && isLoopback(hostname)),
    `needs ${name} to be https; http is for this machine only`,
  );
  return href;
}

/** @param {string} hostname */
const isLoopback = (hostname) =>
  /^(localhost|\[::1]|127(\.\d+){3})$/.test(hostname);

/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null;

/** @param {unknown} value */
const isText = (value) => typeof value === "string" && value !== "";

/**
 * @param {unknown} condition
 * @param {string} otherwise
 * @returns {asserts condition}
 */
function demand(condition, otherwise) {
  if (!condition) throw new TypeError(`createVerifier ${otherwise}`);
}

const NAMES = [
  "issuer",
  "audience",
  "jwks",
  "jwksUri",
  "revocationsUri",
  "leeway",
  "clock",
  "fetch",
];

/** What clocks of machines that are kept in step may differ by. */
const DEFAULT_LEEWAY_SECS = 30;

/** Leeway lengthens the life of every token; the core refuses more, too. */
const MAX_LEEWAY_SECS = 120;
