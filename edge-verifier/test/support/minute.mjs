import { setTimeout } from "node:timers/promises";

/**
 * Miniflare's rate limits count by minutes of the clock. A test that counts within one waits here,
 * and hardly ever does, until enough of one is left: `ms`.
 */
export async function minuteWithRoom(ms) {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < ms) await setTimeout(left);
}
