/**
 * Responses of Node's own `http`, which Express, Fastify and NestJS hand on.
 *
 * @typedef {{ statusCode: number, headersSent: boolean, once(event: "close", listener: () => void): unknown }} NodeResponse
 */

/**
 * Calls `settle` when the response is over. An answer that has begun counts, whether or not the
 * client read all of it: who hangs up at the last byte has had what they came for.
 *
 * @param {NodeResponse} response
 * @param {(status: number) => Promise<void>} settle
 */
export function settleAfter(response, settle) {
  response.once("close", () => {
    settle(response.headersSent ? response.statusCode : 0);
  });
}
