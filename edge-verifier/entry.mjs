// The entry of the Worker and its only forwarder. Every decision is Rust's; this file
// turns a request into text, a decision into a request or a response, and nothing else.

import { Gateway, __wbg_reset_state, initSync } from "./build/edge.js";
import module from "./build/edge_bg.wasm";
import config from "./build/edge.json";

/** @import { Forward, Answer, AnswerRules, Metric, Reply, Settled } from "./types.d.ts" */

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
    return handle({ request, text: describe(request), env, ctx, beganAt: Date.now() });
  },
};

/**
 * One request on its way.
 * @typedef {object} Call
 * @property {Request} request
 * @property {string} text what Rust is told of it
 * @property {Record<string, unknown>} env
 * @property {ExecutionContext} ctx
 * @property {number} beganAt
 */

/**
 * What a backend has answered, and when it was asked and did.
 * @typedef {object} Answered
 * @property {Response} response
 * @property {number} sentAt
 * @property {number} answeredAt
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
    while (Date.now() < call.beganAt + FULL_WAY_MS) {
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
  if (reply.answer) return refuse(call, reply.answer);
  return undefined;
}

/**
 * An answer of the gateway itself, unless the data centre has seen too many like it.
 * @param {Call} call
 * @param {Answer} decision
 * @returns {Response | Promise<Response>}
 */
function refuse(call, decision) {
  if (decision.countedAs === null) return counted(call, answer(decision), decision.metric);
  return tooMany(call.env.EDGE_FAILED_AUTH, decision.countedAs).then((isOver) => {
    const [, requestId] = decision.headers.find(([name]) => name === "x-request-id") ?? ["", ""];
    const said = isOver ? failed(call, Number(decision.route), "limited", requestId) : decision;
    return counted(call, answer(said), said.metric);
  });
}

/**
 * The answer in place of a backend's.
 * @param {Call} call
 * @param {number} route
 * @param {string} why
 * @param {string} requestId
 * @returns {Answer}
 */
function failed({ request, env }, route, why, requestId) {
  const origin = request.headers.get("origin") ?? undefined;
  return JSON.parse(current(env).failed(route, why, origin, requestId)).answer;
}

/**
 * Asks a counter of the data centre. One that fails has not said no.
 * @param {unknown} binding
 * @param {string} key
 */
async function tooMany(binding, key) {
  try {
    return !(await /** @type {RateLimit} */ (binding).limit({ key })).success;
  } catch {
    return false;
  }
}

/**
 * Counts an answer where the Worker has a data set for that; writing does not wait.
 * @param {Call} call
 * @param {Response} response
 * @param {Metric} metric
 */
function counted({ env, beganAt }, response, { route, code, keys }) {
  const metrics = /** @type {AnalyticsEngineDataset | undefined} */ (env.EDGE_METRICS);
  metrics?.writeDataPoint({
    indexes: [route],
    blobs: [route, code, keys],
    doubles: [response.status, Date.now() - beganAt],
  });
  return response;
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
  gateway = new Gateway(config, env);
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
async function forward(call, decision) {
  const { request, env } = call;
  const { route, countedAs, requestId, metric } = decision;
  /** @param {string} why */
  const refused = (why) => {
    const said = failed(call, route, why, requestId);
    return counted(call, answer(said), said.metric);
  };
  if (countedAs !== null && (await tooMany(env.EDGE_PER_USER, countedAs))) return refused("limited");
  let failure = "unreachable";
  /** @type {PromiseWithResolvers<never>} */
  const stopped = Promise.withResolvers();
  /** @param {string} why */
  const stop = (why) => {
    failure = why;
    stopped.reject();
  };
  const timer = setTimeout(stop, decision.timeoutMs, "timeout");
  const sentAt = Date.now();
  try {
    const [what, how] = upstreamRequest(request, decision, stop);
    const through = /** @type {Fetcher | undefined} */ (
      decision.service === null ? undefined : env[decision.service]
    );
    const asked = through ? through.fetch(what, how) : fetch(what, how);
    const response = await Promise.race([asked, stopped.promise]);
    const answered = { response, sentAt, answeredAt: Date.now() };
    if (!decision.hold) return counted(call, finish(call, answered, decision, decision.answer), metric);
    clearTimeout(timer);
    return await pay(call, answered, decision);
  } catch {
    if (decision.hold) await settleHold(call, decision, 0);
    return refused(failure);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What is held for a request is spent, or given back, before the first byte of its answer goes on.
 * @param {Call} call
 * @param {Answered} answered
 * @param {Forward} decision
 * @returns {Promise<Response>}
 */
async function pay(call, answered, decision) {
  const { response } = answered;
  const settled = await settleHold(call, decision, response.status);
  if (!settled.answer) {
    const { remove, set, append, vary } = decision.answer;
    const rules = { remove, set: [...set, ...settled.set], append: [...append, ...settled.append], vary };
    return counted(call, finish(call, answered, decision, rules), decision.metric);
  }
  response.webSocket?.close(CLOSE.broken);
  await response.body?.cancel().catch(() => {});
  return counted(call, answer(settled.answer), settled.answer.metric);
}

/**
 * Settles a hold by the status of the backend's answer, 0 for none. A trap on the way never
 * settles its promise; then the instance that takes its place is asked, which does nothing twice.
 * @param {Call} call
 * @param {Forward} decision
 * @param {number} status
 * @returns {Promise<Settled>}
 */
async function settleHold({ request, env, ctx }, { hold, route, requestId, metric }, status) {
  const origin = request.headers.get("origin") ?? undefined;
  const deadline = Date.now() + FULL_WAY_MS;
  for (let attempt = 0; attempt < MAX_INSTANCES; attempt += 1) {
    const opened = current(env);
    try {
      /** @type {Promise<string>} */
      const settled = opened.settle(JSON.stringify(hold), status, origin, requestId, ctx);
      while (gateway === opened && Date.now() < deadline) {
        const json = await within(settled, LOOK_EVERY_MS);
        if (json !== undefined) return JSON.parse(json);
      }
    } catch (error) {
      broken(error, opened);
    }
  }
  /** @type {Answer} */
  const withheld = {
    status: 503,
    headers: RESTARTING_HEADERS,
    body: RESTARTING,
    log: null,
    countedAs: null,
    route,
    metric: { ...metric, code: "unavailable" },
  };
  return { answer: withheld, set: [], append: [] };
}

/**
 * What to call `fetch` with. It makes a request of its own of whatever it is given: where there is no
 * body, one of ours would only be copied.
 * @param {Request} request
 * @param {Forward} decision
 * @param {(why: string) => void} stop
 * @returns {[string | Request, RequestInit]}
 */
function upstreamRequest(request, { url, countBody, remove, set }, stop) {
  const { method, body } = request;
  /** @param {Headers} headers */
  const changed = (headers) => {
    for (const name of remove) headers.delete(name);
    for (const [name, value] of set) headers.set(name, value);
    return headers;
  };
  if (body === null) {
    return [url, { method, headers: changed(new Headers(request.headers)), redirect: "manual" }];
  }
  const counted = countBody === null ? undefined : counter(body, countBody, stop);
  const { headers } = request;
  const upstream = new Request(url, counted ? { method, headers, body: counted } : request);
  changed(upstream.headers);
  return [upstream, { redirect: "manual" }];
}

/**
 * Passes a body through until there is more of it than a route takes.
 * @param {ReadableStream} body
 * @param {number} limit
 * @param {(why: string) => void} stop
 */
function counter(body, limit, stop) {
  const { readable, writable } = new IdentityTransformStream();
  pump(body.getReader({ mode: "byob" }), writable.getWriter(), limit, stop);
  return readable;
}

/**
 * One buffer goes back and forth: a stream that made a new one for each piece would leave hundreds
 * of megabytes to be collected behind a large body.
 * @param {ReadableStreamBYOBReader} reader
 * @param {WritableStreamDefaultWriter} writer
 * @param {number} limit
 * @param {(why: string) => void} stop
 */
async function pump(reader, writer, limit, stop) {
  let buffer = new ArrayBuffer(PIECE_BYTES);
  let left = limit;
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return await writer.close();
      left -= value.byteLength;
      if (left < 0) {
        stop("too_large");
        throw new Error("the body is too large");
      }
      await writer.write(value);
      buffer = value.buffer;
    }
  } catch (error) {
    // One of the two ends is gone, and the other must not wait for it.
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  }
}

/**
 * @param {Call} call
 * @param {Answered} answered
 * @param {Forward} decision
 * @param {AnswerRules} rules
 */
function finish(call, { response, sentAt, answeredAt }, { watch, serverTiming }, { remove, set, append, vary }) {
  if (response.webSocket) return watch ? watched(call, response, response.webSocket) : response;
  if (response.status === 101) return response;
  const changed = new Response(response.body, response);
  const { headers } = changed;
  for (const name of remove) headers.delete(name);
  for (const [name, value] of set) headers.set(name, value);
  for (const [name, value] of append) headers.append(name, value);
  if (vary) headers.append("vary", "Origin");
  if (serverTiming) {
    const backend = answeredAt - sentAt;
    const spent = `edge;dur=${Date.now() - call.beganAt - backend}, backend;dur=${backend}`;
    headers.append("server-timing", spent);
  }
  return changed;
}

/**
 * A WebSocket that is closed when its token is no longer accepted. The runtime would pass the
 * backend's socket through by itself and never let go of it; here each message goes by hand.
 * @param {Call} call
 * @param {Response} response
 * @param {WebSocket} backend
 */
function watched(call, response, backend) {
  const [client, gate] = Object.values(new WebSocketPair());
  const ends = /** @type {[WebSocket, WebSocket]} */ ([gate, backend]);
  for (const end of ends) {
    end.binaryType = "arraybuffer";
    end.accept();
  }
  relay(gate, backend);
  relay(backend, gate);
  watch(call, ends);
  return new Response(null, { status: 101, webSocket: client, headers: response.headers });
}

/**
 * @param {WebSocket} from
 * @param {WebSocket} to
 */
function relay(from, to) {
  from.addEventListener("message", ({ data }) => {
    if (to.readyState === WebSocket.OPEN) to.send(data);
  });
  from.addEventListener("close", ({ code, reason }) => close(to, code, reason));
  from.addEventListener("error", () => close(to, CLOSE.broken, "broken"));
}

/**
 * Codes that only a runtime may send (RFC 6455, section 7.4.1) mean that the other end is gone.
 * @param {WebSocket} socket
 * @param {number} code
 * @param {string} reason
 */
function close(socket, code, reason) {
  if (socket.readyState !== WebSocket.OPEN) return;
  if (code === 1005) socket.close();
  else if (code === 1006 || code === 1015) socket.close(CLOSE.broken, "broken");
  else socket.close(code, reason);
}

/**
 * Asks again and again whether the request would be let through now, too. Each socket asks for
 * itself: what another request is waiting for is nothing to wait for.
 * @param {Call} call
 * @param {[WebSocket, WebSocket]} ends
 */
async function watch(call, ends) {
  while (ends.every(({ readyState }) => readyState === WebSocket.OPEN)) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
    const refusal = await recheck(call);
    if (refusal === undefined) continue;
    const { log, status, metric } = refusal;
    if (log) console.log(log);
    const code = status === 401 ? CLOSE.refused : status === 403 ? CLOSE.forbidden : CLOSE.later;
    for (const end of ends) close(end, code, metric.code);
  }
}

/**
 * Why the request would be refused now, if it would be. An instance that breaks over it is replaced
 * by the next request; until then nothing is known, and the next look is soon.
 * @param {Call} call
 * @returns {Promise<Answer | undefined>}
 */
async function recheck({ text, env, ctx }) {
  const opened = current(env);
  try {
    const json = await within(opened.recheck(text, ctx), FULL_WAY_MS);
    if (json === undefined && gateway === opened) gateway = undefined;
    return json === undefined ? undefined : JSON.parse(json).answer;
  } catch (error) {
    broken(error, opened);
    return undefined;
  }
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

/** What is read at once of a body that is counted. */
const PIECE_BYTES = 64 * 1024;
/** How soon a socket is closed after its token was revoked: the feed is polled no more often. */
const WATCH_EVERY_MS = 1_000;
/** Why we close a socket: the token is refused, the role is, it cannot be told now, it broke. */
const CLOSE = { refused: 4401, forbidden: 4403, later: 1013, broken: 1011 };
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
