/** In a browser: `globalThis.run` does what the worker does, and measures by itself. */

import { contest } from "./contest.mjs";

const contestants = contest(await (await fetch("fixtures.json")).json());

globalThis.run = async (name, n) => {
  const run = (await contestants)[name];
  const began = performance.now();
  const accepted = await run(n);
  return { accepted, ms: performance.now() - began };
};
