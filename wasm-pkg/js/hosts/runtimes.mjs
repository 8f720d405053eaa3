/**
 * How requests are made where, for the hosts that get their module, or none, in the same way
 * everywhere.
 *
 * @import { Host } from "../verifier.mjs"
 */

/** @typedef {Pick<Host, "requests" | "sendsEntityTags" | "keepAlive" | "hasTimers">} Runtime */

/**
 * See `browser.mjs` for why.
 *
 * @type {Runtime}
 */
export const inBrowsers = {
  requests: { cache: "no-cache", credentials: "omit" },
  sendsEntityTags: false,
  keepAlive() {},
  hasTimers: true,
};

/** @type {Runtime} */
export const onServers = {
  requests: {},
  sendsEntityTags: true,
  keepAlive() {},
  hasTimers: true,
};
