/**
 * What a guard wants to know of a request, out of the two forms frameworks have.
 */

/**
 * @typedef {object} Incoming
 * @property {string} method
 * @property {(name: string) => readonly string[]} header every value of a header, by its name in lower case
 * @property {string} [peer] the address of whoever holds the other end of the connection
 */

/**
 * A request of Node's own `http`, which Express, Fastify and NestJS hand on.
 *
 * @param {{ method?: string, headersDistinct?: Record<string, string[] | undefined>, headers: Record<string, string | string[] | undefined>, socket?: { remoteAddress?: string } }} request
 * @returns {Incoming}
 */
export const fromNode = (request) => ({
  method: request.method ?? "GET",
  // `headers` keeps the first of two `Authorization`, which would hide the second from us.
  header: (name) => request.headersDistinct?.[name] ?? [request.headers[name] ?? []].flat(),
  peer: request.socket?.remoteAddress,
});

/**
 * A request of the web platform, in which headers of one name are one.
 *
 * @param {Request} request
 * @param {string} [peer]
 * @returns {Incoming}
 */
export const fromWeb = (request, peer) => ({
  method: request.method,
  header: (name) => {
    const value = request.headers.get(name);
    return value === null ? [] : [value];
  },
  peer,
});
