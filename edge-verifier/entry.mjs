// The entry of the Worker and its only forwarder. Every decision is Rust's; this file
// turns a request into text, a decision into a request or a response, and nothing else.

import { Gateway, __wbg_reset_state, initSync } from "./build/edge.js";
import module from "./build/edge_bg.wasm";
import config from "./build/edge.json";

/** @import { Forward, Answer, AnswerRules, Reply, Settled } from "./types.d.ts" */

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
  if (reply.forward) {
    const answered = forward(call, reply.forward);
    // A client that goes away must not leave a hold neither spent nor given back.
    if (reply.forward.hold) call.ctx.waitUntil(answered);
    return answered;
  }
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
  for (const [name, value] of request.headers) text += `${name}\n${value}\n`;
  return text;
}

/**
 * Sends a request on, its body and WebSocket untouched, and hands back the answer.
 * @param {Call} call
 * @param {Forward} decision
 * @returns {Promise<Response>}
 */
async function forward(call, decision) {
  const { request, env } = call;
  const abort = new AbortController();
  let failure = "unreachable";
  /** @param {string} why */
  const stop = (why) => {
    failure = why;
    abort.abort();
  };
  const timer = setTimeout(stop, decision.timeoutMs, "timeout");
  try {
    const upstream = upstreamRequest(request, decision, stop);
    const through = /** @type {Fetcher | undefined} */ (
      decision.service === null ? undefined : env[decision.service]
    );
    /** @type {RequestInit} */
    const init = { redirect: "manual", signal: abort.signal };
    const response = await (through ? through.fetch(upstream, init) : fetch(upstream, init));
    if (!decision.hold) return finish(response, decision.answer);
    clearTimeout(timer);
    return await pay(call, decision, response);
  } catch {
    if (decision.hold) await settleHold(call, decision, 0);
    const origin = request.headers.get("origin") ?? undefined;
    return answer(JSON.parse(current(env).failed(decision.route, failure, origin)).answer);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What is held for a request is spent, or given back, before the first byte of its answer goes on.
 * @param {Call} call
 * @param {Forward} decision
 * @param {Response} response
 * @returns {Promise<Response>}
 */
async function pay(call, decision, response) {
  const settled = await settleHold(call, decision, response.status);
  if (!settled.answer) {
    const { remove, set, append, vary } = decision.answer;
    return finish(response, { remove, set: [...set, ...settled.set], append: [...append, ...settled.append], vary });
  }
  response.webSocket?.close(1011);
  await response.body?.cancel().catch(() => {});
  return answer(settled.answer);
}

/**
 * Settles a hold by the status of the backend's answer, 0 for none. A trap on the way never
 * settles its promise; then the instance that takes its place is asked, which does nothing twice.
 * @param {Call} call
 * @param {Forward} decision
 * @param {number} status
 * @returns {Promise<Settled>}
 */
async function settleHold({ request, env, ctx }, { hold }, status) {
  const origin = request.headers.get("origin") ?? undefined;
  const deadline = Date.now() + FULL_WAY_MS;
  for (let attempt = 0; attempt < MAX_INSTANCES; attempt += 1) {
    const opened = current(env);
    try {
      /** @type {Promise<string>} */
      const settled = opened.settle(JSON.stringify(hold), status, origin, ctx);
      while (gateway === opened && Date.now() < deadline) {
        const json = await within(settled, LOOK_EVERY_MS);
        if (json !== undefined) return JSON.parse(json);
      }
    } catch (error) {
      broken(error, opened);
    }
  }
  return { answer: { status: 503, headers: RESTARTING_HEADERS, body: RESTARTING, log: null }, set: [], append: [] };
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
 * @param {AnswerRules} rules
 */
function finish(response, { remove, set, append, vary }) {
  const unchanged = set.length === 0 && remove.length === 0 && append.length === 0 && !vary;
  if (unchanged || response.webSocket || response.status === 101) return response;
  const changed = new Response(response.body, response);
  for (const name of remove) changed.headers.delete(name);
  for (const [name, value] of set) changed.headers.set(name, value);
  for (const [name, value] of append) changed.headers.append(name, value);
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
  return new Response(RESTARTING, { status: 503, headers: RESTARTING_HEADERS });
}

/** Longer than the gateway's own time limits, so that it ends only what hangs. */
const FULL_WAY_MS = 15_000;
/** One that breaks is replaced; a third in a row would break as well. */
const MAX_INSTANCES = 3;
/** How soon a request notices that its instance has been replaced. */
const LOOK_EVERY_MS = 250;

/** @type {[string, string][]} */
const RESTARTING_HEADERS = [
  ["content-type", "application/problem+json"],
  ["cache-control", "no-store"],
  ["retry-after", "1"],
];
/** What Rust would say if it still could. */
const RESTARTING = JSON.stringify({
  type: "urn:tollgate:problem:unavailable",
  title: "The gateway is restarting.",
  status: 503,
  detail: "The request was not forwarded; try again.",
  code: "unavailable",
});
