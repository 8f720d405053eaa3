/**
 * Whether an address or host name is this machine.
 *
 * @param {string} host as in a URL or from a socket
 */
export const isLoopback = (host) =>
  host === "localhost" ||
  host === "::1" ||
  host === "[::1]" ||
  /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
