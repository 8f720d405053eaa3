// The entry of the Worker and its only forwarder. Every decision is Rust's; this file
// turns a request into text, a decision into a request or a response, and nothing else.

import { Gateway, __wbg_reset_state, initSync } from "./build/edge.js";
import module from "./build/edge_bg.wasm";
import config from "./build/edge.json";

/** @import { Forward, Answer, Reply } from "./types.d.ts" */

/** @type {Gateway | undefined} */
let gateway;
let instantiated = false;

export default {
  /**
   * @param {Request} request
   * @param {Record<string, unknown>} env
   * @param {ExecutionContext} ctx
   * @returns {Response | Promise<Response>}
   */
  fetch(request, env, ctx) {
    return handle({ request, text: describe(request), env, ctx, deadline: Date.now() + FULL_WAY_MS });
  },
};

/**
 * One request on its way.
 * @typedef {object} Call
 * @property {Request} request
 * @property {string} text what Rust is told of it
 * @property {Record<string, unknown>} env
 * @property {ExecutionContext} ctx
 * @property {number} deadline
 */

/**
 * @param {Call} call
 * @returns {Response | Promise<Response>}
 */
function handle(call) {
  try {
    const opened = current(call.env);
    /** @type {Reply} */
    const reply = JSON.parse(opened.decide(call.text));
    if (reply.background) opened.start(call.ctx);
    return settle(call, reply) ?? resume(call, opened);
  } catch (error) {
    return broken(error, gateway);
  }
}

/**
 * The full way: Rust fetches what is missing and decides again. A trap on the way never
 * settles its promise. Therefore each request looks by itself whether the instance has been
 * replaced, and then begins anew; no request may wait for what another one does.
 * @param {Call} call
 * @param {Gateway} opened
 * @returns {Promise<Response>}
 */
async function resume(call, opened) {
  try {
    /** @type {Promise<string>} */
    const settled = opened.resume(call.text, call.ctx);
    while (Date.now() < call.deadline) {
      const json = await within(settled, LOOK_EVERY_MS);
      if (json !== undefined) return await (settle(call, JSON.parse(json)) ?? fail());
      if (gateway !== opened) return await handle(call);
    }
    return fail();
  } catch (error) {
    return broken(error, opened);
  }
}

/**
 * @param {Call} call
 * @param {Reply} reply
 */
function settle(call, reply) {
  if (reply.forward) return forward(call, reply.forward);
  if (reply.answer) return answer(reply.answer);
  return undefined;
}

/** @returns {never} */
function fail() {
  throw new Error("the full way did not end");
}

/**
 * What a promise resolves to, if it does so in time.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} millis
 * @returns {Promise<T | undefined>}
 */
async function within(promise, millis) {
  const late = Promise.withResolvers();
  const timer = setTimeout(late.resolve, millis);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The gateway of this isolate; started on the first request and in place of a broken one.
 * @param {Record<string, unknown>} env
 */
function current(env) {
  if (gateway) return gateway;
  if (instantiated) __wbg_reset_state();
  else initSync({ module });
  instantiated = true;
  gateway = new Gateway(JSON.stringify(config), env);
  return gateway;
}

/**
 * Method, URL and headers, each followed by a line feed, which none of them can contain.
 * @param {Request} request
 */
function describe(request) {
  let text = `${request.method}\n${request.url}\n`;
  request.headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/**
 * Sends a request on, its body and WebSocket untouched, and hands back the answer. What is given
 * up on ends with this request: the runtime cancels whatever it has left open. A signal would say
 * the same, at a tenth of what a request costs.
 * @param {Call} call
 * @param {Forward} decision
 * @returns {Promise<Response>}
 */
async function forward({ request, env }, decision) {
  let failure = "unreachable";
  /** @type {PromiseWithResolvers<never>} */
  const stopped = Promise.withResolvers();
  /** @param {string} why */
  const stop = (why) => {
    failure = why;
    stopped.reject();
  };
  const timer = setTimeout(stop, decision.timeoutMs, "timeout");
  try {
    const upstream = upstreamRequest(request, decision, stop);
    const through = /** @type {Fetcher | undefined} */ (
      decision.service === null ? undefined : env[decision.service]
    );
    /** @type {RequestInit} */
    const init = { redirect: "manual" };
    const answered = through ? through.fetch(upstream, init) : fetch(upstream, init);
    const response = await Promise.race([answered, stopped.promise]);
    return finish(response, decision);
  } catch {
    const origin = request.headers.get("origin") ?? undefined;
    return answer(JSON.parse(current(env).failed(decision.route, failure, origin)).answer);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Request} request
 * @param {Forward} decision
 * @param {(why: string) => void} stop
 */
function upstreamRequest(request, { url, countBody, remove, set }, stop) {
  const counted = countBody === null ? undefined : request.body?.pipeThrough(counter(countBody, stop));
  const { method, headers } = request;
  const upstream = new Request(url, counted ? { method, headers, body: counted } : request);
  for (const name of remove) upstream.headers.delete(name);
  for (const [name, value] of set) upstream.headers.set(name, value);
  return upstream;
}

/**
 * Passes bytes through until there are more than a route takes.
 * @param {number} limit
 * @param {(why: string) => void} stop
 */
function counter(limit, stop) {
  let seen = 0;
  return new TransformStream({
    transform(chunk, controller) {
      seen += chunk.byteLength;
      if (seen > limit) {
        stop("too_large");
        controller.error(new Error("the body is too large"));
      } else {
        controller.enqueue(chunk);
      }
    },
  });
}

/**
 * @param {Response} response
 * @param {Forward} decision
 */
function finish(response, decision) {
  const { remove, set, vary } = decision.answer;
  const unchanged = set.length === 0 && remove.length === 0 && !vary;
  if (unchanged || response.webSocket || response.status === 101) return response;
  const changed = new Response(response.body, response);
  for (const name of remove) changed.headers.delete(name);
  for (const [name, value] of set) changed.headers.set(name, value);
  if (vary) changed.headers.append("vary", "Origin");
  return changed;
}

/** @param {Answer} decision */
function answer({ status, headers, body, log }) {
  if (log) console.log(log);
  return new Response(body, { status, headers });
}

/**
 * After a trap the instance can no longer be trusted: the next request gets a new one.
 * @param {unknown} error
 * @param {Gateway | undefined} used
 */
function broken(error, used) {
  if (gateway === used) gateway = undefined;
  const outcome = error instanceof WebAssembly.RuntimeError ? "trap" : String(error);
  console.log(JSON.stringify({ event: "broken", what: "gateway", outcome }));
  return new Response(RESTARTING, {
    status: 503,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "retry-after": "1",
    },
  });
}

/** Longer than the gateway's own time limits, so that it ends only what hangs. */
const FULL_WAY_MS = 15_000;
/** How soon a request notices that its instance has been replaced. */
const LOOK_EVERY_MS = 250;

/** What Rust would say if it still could. */
const RESTARTING = JSON.stringify({
  type: "urn:tollgate:problem:unavailable",
  title: "The gateway is restarting.",
  status: 503,
  detail: "The request was not forwarded; try again.",
  code: "unavailable",
});
