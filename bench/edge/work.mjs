/**
 * What the gateway does to requests and answers besides verifying, as one would write it in
 * JavaScript: paths that can be read in two ways, routes, headers nobody may set from outside,
 * the caller's identity, a name in logs and traces, a time limit, no storing of answers.
 */

import { backend } from "bench-stage";

const ROUTES = [{ prefix: "/api/", methods: ["GET", "POST"], roles: ["user", "admin"] }];
const TWO_READINGS = /%(2f|5c|25|3b|[01][0-9a-f]|7f)|[;\\]|\/\/|\/\.\.?(\/|$)/i;
const UNWANTED_PREFIXES = ["x-auth-", "x-edge-", "x-forwarded-", "x-original-", "x-rewrite-"];
const UNWANTED = new Set([
  "authorization",
  "connection",
  "forwarded",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "true-client-ip",
  "upgrade",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-forwarded",
  "x-host",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-real-ip",
  "x-request-id",
]);
const TIMEOUT_MS = 30_000;

/** The one access token of a request, or the answer in its place. */
export function bearer(request) {
  const url = new URL(request.url);
  if (TWO_READINGS.test(url.pathname)) return { refusal: refuse(400, "ambiguous_path") };
  const route = ROUTES.find(({ prefix }) => url.pathname.startsWith(prefix));
  if (route === undefined) return { refusal: refuse(404, "not_found") };
  if (!route.methods.includes(request.method)) return { refusal: refuse(405, "method_not_allowed") };
  const header = request.headers.get("authorization") ?? "";
  if (!/^bearer /i.test(header)) return { refusal: refuse(401, "missing_token") };
  if (header.includes(",")) return { refusal: refuse(400, "multiple_tokens") };
  return { url, route, token: header.slice(7).trim() };
}

/** Sends the request on in the name of these claims. */
export async function forward(request, { url, route }, claims) {
  if (!route.roles.includes(claims.role)) return refuse(403, "insufficient_scope");
  const upstream = new Request(`${backend}${url.pathname}${url.search}`, request);
  for (const [name] of request.headers) if (isUnwanted(name)) upstream.headers.delete(name);
  upstream.headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  upstream.headers.set("x-forwarded-host", url.host);
  const address = request.headers.get("cf-connecting-ip");
  if (address) upstream.headers.set("x-forwarded-for", address);
  upstream.headers.set("x-auth-user", encode(claims.sub));
  upstream.headers.set("x-auth-session", encode(claims.sid));
  upstream.headers.set("x-auth-exp", String(claims.exp));
  upstream.headers.set("x-auth-role", encode(claims.role));
  if (claims.email_verified) upstream.headers.set("x-auth-email", encode(claims.email));
  const id = crypto.randomUUID().replaceAll("-", "");
  const trace = traceOf(request, id);
  upstream.headers.set("x-request-id", id);
  upstream.headers.set("traceparent", trace);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(upstream, { redirect: "manual", signal: abort.signal });
    const answer = new Response(response.body, response);
    answer.headers.set("cache-control", "private, no-store");
    answer.headers.set("x-request-id", id);
    answer.headers.set("traceparent", trace);
    return answer;
  } catch {
    return refuse(502, "upstream_unreachable");
  } finally {
    clearTimeout(timer);
  }
}

/** A step in the client's trace, or in one that begins here. */
function traceOf(request, id) {
  const span = crypto.randomUUID().replaceAll("-", "").slice(16);
  const found = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/.exec(request.headers.get("traceparent") ?? "");
  return found ? `00-${found[1]}-${span}-${found[2]}` : `00-${id}-${span}-01`;
}

/** A problem document. */
export function refuse(status, code) {
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify({ status, code }), { status, headers });
}

/** Names in one spelling, since backends read `X_Auth_User` as `x-auth-user`. */
function isUnwanted(name) {
  const spelled = name.replace(/[^a-z0-9]/g, "-");
  return UNWANTED.has(spelled) || UNWANTED_PREFIXES.some((prefix) => spelled.startsWith(prefix));
}

function encode(claim) {
  return /^[!-$&-~]*$/.test(claim) ? claim : encodeURIComponent(claim);
}
