// What passes the gateway, what is changed on the way, and what is refused.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { releaseEvents } from "./support/backend.mjs";
import { smallWorker } from "./support/gateway.mjs";
import { raw } from "./support/raw.mjs";
import { code, eventually, startWorld } from "./support/world.mjs";

const toml = ({ issuer, backend }) => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  [defaults]
  backend = { url = "${backend.url}", trust = "network", assertion = false }
  [[route]]
  id = "api"
  path = "/api/*"
  methods = ["GET", "HEAD", "POST", "PUT"]
  timeout_ms = 600
  max_body_bytes = 1000
  cors = { origins = ["https://app.example"], credentials = true }
  [[route]]
  id = "admin"
  path = "/admin/*"
  roles = ["admin"]
  [[route]]
  id = "cookie"
  path = "/cookie/*"
  methods = ["GET", "POST"]
  token = "cookie:__Host-token"
  cors = { origins = ["https://app.example"], credentials = true }
  [[route]]
  id = "public"
  path = "/public/*"
  methods = ["GET", "POST"]
  auth = "none"
  reason = "nothing secret"
  [[route]]
  id = "large"
  path = "/large/*"
  methods = ["POST"]
  [[route]]
  id = "closed-port"
  path = "/nobody/*"
  backend = { url = "http://127.0.0.1:9", trust = "network" }
  [[route]]
  id = "shop"
  path = "/shop/*"
  methods = ["GET", "POST"]
  backend = { service = "SHOP", strip_prefix = "/shop" }
  [[route]]
  id = "missing"
  path = "/missing/*"
  backend = { service = "MISSING" }`;

const SHOP = `export default {
  async fetch(request) {
    const headers = Object.fromEntries(request.headers);
    return Response.json({ url: request.url, headers, body: await request.text() });
  },
};`;

let world;
before(async () => {
  const gateway = {
    env: { SHOP: { type: "worker", worker: "shop" } },
    workers: [smallWorker("shop", SHOP)],
  };
  world = await startWorld(toml, { gateway });
});
after(() => world.close());

const received = () => world.backend.received.at(-1);
const values = (name) => received().headers.filter(([other]) => other === name).map(([, value]) => value);

test("valid_token_passes_and_the_backend_learns_who_it_is", async () => {
  const token = world.issuer.token({ sub: "Zoë 1", role: "admin" });
  const response = await world.call("/api/a%20b/c?d=%2f&e=..%2f", { token });
  assert.equal(response.status, 200);
  assert.equal(received().url, "/api/a%20b/c?d=%2f&e=..%2f");
  assert.deepEqual(values("x-auth-user"), ["Zo%C3%AB%201"]);
  assert.deepEqual(values("x-auth-role"), ["admin"]);
  assert.deepEqual(values("x-auth-session"), ["session-1"]);
  assert.deepEqual(values("x-auth-email"), ["ada@example.com"]);
  assert.match(values("x-auth-exp")[0], /^\d{10}$/);
  assert.deepEqual(values("x-forwarded-host"), [`127.0.0.1:${world.gateway.port}`]);
  assert.deepEqual(values("x-forwarded-proto"), ["http"]);
  assert.deepEqual(values("authorization"), []);
  assert.equal(response.headers.get("cache-control"), "private, no-store");
});

for (const path of ["/api/x", "/public/x"]) {
  test(`identity_headers_of_a_client_never_arrive_on${path.replaceAll("/", "_")}`, async () => {
    const token = world.issuer.token();
    const response = await raw(world.gateway.port, [
      `GET ${path} HTTP/1.1`,
      "Host: edge.example",
      `Authorization: Bearer ${token}`,
      "X-Auth-User: root",
      "x_auth_user: root",
      "X-AUTH-USER: root",
      "X-Auth_Role: root",
      "x.auth.user: root",
      "x-edge-assertion: root",
      "X_Edge_Assertion: root",
      "X-Forwarded-For: 10.6.6.6",
      "X_Forwarded_User: root",
      "Forwarded: for=10.6.6.6",
      "X-Original-URL: /admin",
      "X-Rewrite-URL: /admin",
      "X-HTTP-Method-Override: DELETE",
      "X-Custom: root",
      "Connection: close, x-auth-user, x-custom, x-auth-session",
    ]);
    assert.equal(response.status, 200);
    const text = JSON.stringify(received().headers);
    assert.doesNotMatch(text, /root|10\.6\.6\.6|DELETE|\/admin/);
    const identity = received().headers.filter(([name]) => /^x.(auth|edge)/.test(name));
    if (path === "/public/x") assert.deepEqual(identity, []);
    else assert.deepEqual(values("x-auth-user"), ["user-1"], "Connection cannot remove what we set");
  });
}

test("bytes_beyond_ascii_in_other_headers_arrive_as_they_were_sent", async () => {
  const token = world.issuer.token();
  const note = Buffer.from("café €").toString("latin1");
  for (const [path, credentials] of [
    ["/api/x", `Authorization: Bearer ${token}`],
    ["/cookie/x", `Cookie: note=${note}; __Host-token=${token}; b=2`],
  ]) {
    const lines = [`GET ${path} HTTP/1.1`, "Host: h", credentials, `X-Note: ${note}`];
    assert.equal((await raw(world.gateway.port, lines)).status, 200, path);
    assert.deepEqual(values("x-note"), [note], path);
    if (path === "/cookie/x") assert.deepEqual(values("cookie"), [`note=${note}; b=2`]);
  }
});

test("cookie_passes_for_reading_and_from_a_listed_page_for_writing", async () => {
  const cookie = `a=1; __Host-token=${world.issuer.token()}`;
  for (const [method, origin, wanted] of [
    ["GET", undefined, "200"],
    ["POST", "https://app.example", "200"],
    ["POST", undefined, "403 forbidden"],
    ["POST", "null", "403 forbidden"],
    ["POST", "https://evil.example", "403 forbidden"],
  ]) {
    const lines = [`${method} /cookie/x HTTP/1.1`, "Host: h", `Cookie: ${cookie}`, "Content-Length: 0"];
    if (origin) lines.push(`Origin: ${origin}`);
    const response = await raw(world.gateway.port, lines);
    const { code } = response.status === 200 ? {} : JSON.parse(response.body);
    assert.equal([response.status, code].filter(Boolean).join(" "), wanted, `${method} ${origin}`);
    if (response.status === 200) assert.deepEqual(values("cookie"), ["a=1"]);
  }
});

test("unclear_paths_are_400_through_the_runtime", async () => {
  const token = world.issuer.token();
  const before = world.backend.received.length;
  for (const path of [
    "/api/a%2fb",
    "/api/a%2Fb",
    "/api/a%5cb",
    "/api/a%5Cb",
    "/api/a%25b",
    "/api/a%252fb",
    "/api/a%00b",
    "/api/a%3bb",
    "/api/a;b",
    "/api//b",
    "//api/b",
    "/api/%c0%af",
    "/api/a%",
    "/api/a\\b",
    "/public/../admin/x",
    "/public/./x",
    "/public/%2e%2e/admin/x",
    "/public\\..\\admin\\x",
    "/api/{a}",
  ]) {
    const lines = [`GET ${path} HTTP/1.1`, "Host: h", "Connection: close", `Authorization: Bearer ${token}`];
    const response = await raw(world.gateway.port, lines);
    assert.equal(response.status, 400, path);
    assert.equal(JSON.parse(response.body).code, "invalid_path", path);
  }
  assert.equal(world.backend.received.length, before);
});


test("each_refusal_is_a_problem_document_with_its_code", async () => {
  const good = world.issuer.token();
  const { issuer } = world;
  const now = Math.floor(Date.now() / 1000);
  for (const [path, init, wanted] of [
    ["/api/x", {}, "401 missing_token"],
    ["/api/x?access_token=" + good, {}, "401 missing_token"],
    ["/api/x", { token: "garbage" }, "401 malformed"],
    ["/api/x", { token: good.slice(0, -1) }, "401 malformed"],
    ["/api/x", { token: `${good}.${good}` }, "401 malformed"],
    ["/api/x", { token: "a".repeat(9000) }, "401 too_large"],
    ["/api/x", { token: issuer.token({ exp: now - 31, iat: now - 900 }) }, "401 expired"],
    ["/api/x", { token: issuer.token({ aud: "other" }) }, "401 wrong_audience"],
    ["/api/x", { token: issuer.token({ iss: "https://evil.example" }) }, "401 wrong_issuer"],
    ["/api/x", { token: issuer.token({}, { header: { alg: "HS256" } }) }, "401 unsupported_algorithm"],
    ["/api/x", { token: issuer.token({}, { header: { typ: "JWT" } }) }, "401 unsupported_type"],
    ["/api/x", { token: issuer.token({}, { header: { crit: [] } }) }, "401 critical_header"],
    ["/api/x", { headers: { authorization: `Bearer ${good}, Bearer ${good}` } }, "400 multiple_tokens"],
    ["/admin/x", { token: good }, "403 insufficient_scope"],
    ["/nowhere", { token: good }, "404 route_not_found"],
    ["/api/x", { token: good, method: "DELETE" }, "405 method_not_allowed"],
    ["/api/x", { token: good, method: "POST", body: "x".repeat(1001) }, "413 payload_too_large"],
    ["/api/slow", { token: good }, "504 upstream_timeout"],
    ["/nobody/x", { token: good }, "502 upstream_unreachable"],
    ["/missing/x", { token: good }, "500 internal"],
  ]) {
    assert.equal(await code(await world.call(path, init)), wanted, `${path} ${wanted}`);
  }
});

test("flipped_bit_in_each_part_is_refused", async () => {
  const good = world.issuer.token();
  const [, payload, signature] = good.split(".").map((part) => good.indexOf(part));
  for (const at of [payload + 10, signature + 10]) {
    const flipped = good.slice(0, at) + (good[at] === "A" ? "B" : "A") + good.slice(at + 1);
    assert.equal(await code(await world.call("/api/x", { token: flipped })), "401 bad_signature");
  }
});

test("refusals_name_the_scheme_and_can_be_read_by_listed_pages", async () => {
  const missing = await world.call("/api/x", { headers: { origin: "https://app.example" } });
  assert.equal(missing.headers.get("www-authenticate"), 'Bearer realm="tollgate"');
  assert.equal(missing.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(missing.headers.get("vary"), "Origin");
  assert.equal(missing.headers.get("cache-control"), "no-store");
  const bad = await world.call("/api/x", { token: "a.b.c", headers: { origin: "https://evil.example" } });
  assert.equal(bad.headers.get("www-authenticate"), 'Bearer realm="tollgate", error="invalid_token"');
  assert.equal(bad.headers.get("access-control-allow-origin"), null);
});

test("refusal_is_one_log_line_without_the_token", async () => {
  const token = world.issuer.token({ aud: "elsewhere" });
  await world.call("/api/x", { token });
  const line = await eventually(() => world.gateway.logs.findLast((line) => line.code === "wrong_audience"));
  assert.equal(line.route, "api");
  assert.equal(line.status, 401);
  assert.equal(line.keys, "fresh");
  const everything = JSON.stringify(world.gateway.logs);
  for (const part of token.split(".")) assert.ok(!everything.includes(part));
});

test("preflight_is_answered_without_token_and_backend", async () => {
  const before = world.backend.received.length;
  const headers = {
    origin: "https://app.example",
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization",
  };
  const response = await world.call("/api/x", { method: "OPTIONS", headers });
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(response.headers.get("access-control-allow-credentials"), "true");
  assert.match(response.headers.get("access-control-allow-methods"), /PUT/);
  assert.equal(response.headers.get("access-control-allow-headers"), "authorization");
  const evil = { ...headers, origin: "https://evil.example" };
  assert.equal(await code(await world.call("/api/x", { method: "OPTIONS", headers: evil })), "403 forbidden");
  assert.equal(world.backend.received.length, before);
});

test("cors_and_cache_headers_of_a_backend_do_not_widen_the_routes", async () => {
  const token = world.issuer.token();
  const page = (origin) => world.call("/api/open-cors", { token, headers: { origin } });
  const evil = await page("https://evil.example");
  assert.equal(await evil.text(), "open");
  assert.equal(evil.headers.get("access-control-allow-origin"), null);
  assert.equal(evil.headers.get("cache-control"), "private, no-store");
  const app = await page("https://app.example");
  assert.equal(app.headers.get("access-control-allow-origin"), "https://app.example");
  const open = await world.call("/public/open-cors");
  assert.equal(open.headers.get("access-control-allow-origin"), "*", "a route without rules changes nothing");
  assert.equal(open.headers.get("cache-control"), "public, max-age=60");
});

test("redirect_and_cookies_of_a_backend_reach_the_client_as_they_are", async () => {
  const token = world.issuer.token();
  const redirect = await world.call("/api/redirect", { token });
  assert.equal(redirect.status, 302);
  assert.equal(redirect.headers.get("location"), "http://127.0.0.1:1/elsewhere");
  const cookies = await world.call("/api/cookies", { token });
  assert.deepEqual(cookies.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/"]);
});

test("request_body_streams_and_so_does_the_answer", async () => {
  const token = world.issuer.token();
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const call = world.call("/large/pieces", { token, method: "POST", body: readable, duplex: "half" });
  await writer.write(new TextEncoder().encode("hello"));
  const response = await call;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, "got 5;", "answered before the request has ended");
  await writer.write(new TextEncoder().encode("goodbye"));
  assert.equal((await reader.read()).value, "got 7;");
  await writer.close();
  assert.equal((await reader.read()).value, "end");
});

test("events_arrive_as_they_are_sent", async () => {
  const response = await world.call("/api/events", { token: world.issuer.token() });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, "data: first\n\n");
  releaseEvents();
  assert.equal((await reader.read()).value, "data: second\n\n");
  assert.ok((await reader.read()).done);
});

test("body_of_unannounced_size_is_cut_off_at_the_limit", async () => {
  const token = world.issuer.token();
  const body = (n) =>
    new ReadableStream({
      pull(controller) {
        if (n-- > 0) controller.enqueue(new TextEncoder().encode("x".repeat(100)));
        else controller.close();
      },
    });
  const send = (n) => world.call("/api/x", { token, method: "POST", body: body(n), duplex: "half" });
  assert.equal((await (await send(10)).json()).body.length, 1000);
  assert.equal(await code(await send(11)), "413 payload_too_large");
});

test("websocket_passes_through", async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${world.gateway.port}/public/socket`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no socket"));
  });
  const answer = new Promise((resolve) => (socket.onmessage = ({ data }) => resolve(data)));
  socket.send("hello");
  assert.equal(await answer, "hello");
  socket.close();
  const refused = await raw(world.gateway.port, [
    "GET /api/socket HTTP/1.1",
    "Host: h",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ]);
  assert.equal(refused.status, 401);
});

test("service_binding_gets_the_request_with_the_prefix_removed", async () => {
  const token = world.issuer.token();
  const response = await world.call("/shop/cart?x=1", { token, method: "POST", body: "hello" });
  const seen = await response.json();
  assert.equal(new URL(seen.url).pathname, "/cart");
  assert.equal(new URL(seen.url).search, "?x=1");
  assert.equal(seen.body, "hello");
  assert.equal(seen.headers["x-auth-user"], "user-1");
  assert.equal(seen.headers.authorization, undefined);
});

test("status_names_what_is_missing_and_no_backend", async () => {
  const response = await world.call("/.well-known/edge/status");
  assert.equal(response.status, 500);
  const text = await response.text();
  const status = JSON.parse(text);
  assert.match(status.problems[0], /service binding MISSING is missing/);
  assert.equal(status.jwks.state, "fresh");
  assert.equal(status.jwks.kids[0], world.issuer.tokenKey.kid);
  assert.ok(!text.includes(world.backend.url) && !text.includes("SHOP"));
});
