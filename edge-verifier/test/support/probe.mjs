// The entry with handles for tests: break the instance, look into the data centre's cache,
// plant something there, stop the clock. Runs in workerd.

import { Gateway, initSync } from "../../build/edge.js";
import entry from "../../entry.mjs";

const RealDate = Date;
const decide = Gateway.prototype.decide;

/** Reads far outside the instance's memory when the request says so: a real trap. */
Gateway.prototype.decide = function (request) {
  if (request.includes("\nx-probe-trap\n")) initSync().gateway_decide(this.__wbg_ptr, 0x7ffffff0, 4096);
  return decide.call(this, request);
};

export default {
  async fetch(request, env, ctx) {
    const peek = request.headers.get("x-probe-peek");
    if (peek) return (await caches.default.match(peek)) ?? new Response(null, { status: 404 });
    const plant = request.headers.get("x-probe-plant");
    if (plant) {
      const headers = { "cache-control": "max-age=60" };
      await caches.default.put(plant, new Response(await request.text(), { headers }));
      return new Response("planted");
    }
    if (env.NOW) stopClock(Number(env.NOW) * 1000);
    return entry.fetch(request, env.METRICS ? { ...env, EDGE_METRICS: printed } : env, ctx);
  },
};

/** A data set that can be read: a line of the log for each point. */
const printed = {
  writeDataPoint: (point) => console.log(JSON.stringify({ event: "metric", ...point })),
};

function stopClock(millis) {
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length > 0 ? given : [millis]));
    }
    static now() {
      return millis;
    }
  };
}
