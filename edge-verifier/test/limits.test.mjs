// What is counted: requests of clients, refusals, and how long things take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { code, eventually, startWorld } from "./support/world.mjs";
import { minuteWithRoom } from "./support/minute.mjs";

const toml = ({ issuer, backend }) => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  [defaults]
  backend = { url = "${backend.url}", trust = "network" }
  cors = { origins = ["https://app.example"] }
  [[route]]
  id = "few"
  path = "/few/*"
  limits = { per_user = "5/min" }
  [[route]]
  id = "many"
  path = "/many/*"
  limits = { per_user = "1000/s", failed_auth = "1000/s" }
  [[route]]
  id = "guarded"
  path = "/guarded/*"
  limits = { failed_auth = "5/min" }
  [[route]]
  id = "timed"
  path = "/timed/*"
  server_timing = true
  [[route]]
  id = "nobody"
  path = "/nobody/*"
  backend = { url = "http://127.0.0.1:9", trust = "network" }`;

async function worldTest(name, gateway, run) {
  test(name, async () => {
    const world = await startWorld(toml, { gateway });
    try {
      await run(world);
    } finally {
      await world.close();
    }
  });
}

const from = (address) => ({ "cf-connecting-ip": address });

worldTest("sixth_request_of_a_user_is_429_and_says_when_to_come_back", {}, async ({ issuer, call, backend }) => {
  const ask = (sub) => call("/few/x", { token: issuer.token({ sub }), headers: { origin: "https://app.example" } });
  for (let n = 0; n < 5; n += 1) assert.equal((await ask("ada")).status, 200);
  const refused = await ask("ada");
  assert.equal(refused.headers.get("retry-after"), "12");
  assert.equal(refused.headers.get("access-control-allow-origin"), "https://app.example");
  assert.match(refused.headers.get("access-control-expose-headers"), /Retry-After/);
  assert.equal(await code(refused), "429 rate_limited");
  assert.equal((await ask("zoe")).status, 200);
  assert.equal(backend.received.length, 6);
});

worldTest("address_that_guesses_is_kept_out_and_its_known_neighbour_is_not", {}, async ({ issuer, call }) => {
  const ask = (token, address) => call("/guarded/x", { token, headers: from(address) });
  const known = issuer.token();
  assert.equal((await ask(known, "203.0.113.9")).status, 200);
  for (let n = 0; n < 5; n += 1) assert.equal(await code(await ask(`a.b.${n}`, "203.0.113.9")), "401 malformed");
  const refused = await ask(issuer.token({ jti: "new" }), "203.0.113.9");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.equal(await code(refused), "429 rate_limited");
  assert.equal((await ask(known, "203.0.113.9")).status, 200);
  assert.equal((await ask(issuer.token({ jti: "new" }), "203.0.113.10")).status, 200);
});

const counter = (limit) => ({ type: "rate-limit", namespace: `of ${limit}`, simple: { limit, period: 60 } });
const counters = { env: { EDGE_PER_USER: counter(3), EDGE_FAILED_AUTH: counter(4) } };

worldTest("counters_of_the_data_centre_refuse_besides_where_they_are_bound", counters, async (world) => {
  const { issuer, call, backend, gateway } = world;
  const ask = (sub) => call("/many/x", { token: issuer.token({ sub }) });
  await minuteWithRoom(10_000);
  for (let n = 0; n < 3; n += 1) assert.equal((await ask("ada")).status, 200);
  const refused = await ask("ada");
  assert.equal(refused.headers.get("retry-after"), "10");
  assert.equal(await code(refused), "429 rate_limited");
  assert.equal((await ask("zoe")).status, 200);
  assert.equal(backend.received.length, 4);
  const guess = (n) => call("/many/x", { token: `a.b.${n}`, headers: from("203.0.113.9") });
  for (let n = 0; n < 4; n += 1) {
    assert.equal(await code(await guess(n)), "401 malformed");
    assert.equal(await code(await call("/many/x")), "401 missing_token", "nobody has guessed anything");
  }
  const late = await guess(4);
  assert.match(late.headers.get("x-request-id"), /^[0-9a-f]{32}$/);
  assert.equal(await code(late), "429 rate_limited");
  const other = await call("/many/x", { token: "a.b.c", headers: from("203.0.113.10") });
  assert.equal(await code(other), "401 malformed", "another address");
  assert.equal(await code(await call("/nowhere")), "404 route_not_found");
  const line = await eventually(() => gateway.logs.findLast((line) => line.code === "rate_limited"));
  assert.equal(line.route, "many");
});

const metrics = { env: { METRICS: { type: "text", value: "1" } }, probe: true };

worldTest("each_decision_is_one_point_with_route_code_and_status", metrics, async ({ issuer, call, gateway }) => {
  const token = issuer.token();
  assert.equal((await call("/timed/x", { token })).status, 200);
  assert.equal(await code(await call("/timed/x")), "401 missing_token");
  assert.equal(await code(await call("/nowhere")), "404 route_not_found");
  assert.equal(await code(await call("/nobody/x", { token })), "502 upstream_unreachable");
  const points = await eventually(() => {
    const lines = gateway.logs.filter(({ event }) => event === "metric");
    return lines.length < 4 ? undefined : lines;
  });
  assert.deepEqual(
    points.map(({ indexes, blobs, doubles }) => [...indexes, ...blobs, doubles[0]].join(" ")),
    [
      "timed timed forwarded fresh 200",
      "timed timed missing_token fresh 401",
      "  route_not_found fresh 404",
      "nobody nobody upstream_unreachable fresh 502",
    ],
  );
  assert.ok(points.every(({ doubles }) => doubles[1] >= 0));
  assert.ok(!JSON.stringify(points).includes(token));
});

worldTest("time_of_the_backend_is_told_where_the_route_says_so", {}, async ({ issuer, call }) => {
  const token = issuer.token();
  const timed = await call("/timed/x", { token });
  assert.match(timed.headers.get("server-timing"), /^edge;dur=\d+, backend;dur=\d+$/);
  assert.equal((await call("/few/x", { token })).headers.get("server-timing"), null);
});

worldTest("names_of_a_request_are_the_same_for_backend_client_and_log", {}, async (world) => {
  const { issuer, call, backend, gateway } = world;
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const answered = await call("/few/x", {
    token: issuer.token(),
    headers: {
      "x-request-id": "forged",
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
      tracestate: "vendor=1",
    },
  });
  const arrived = Object.fromEntries(backend.received.at(-1).headers);
  assert.match(arrived["x-request-id"], /^[0-9a-f]{32}$/);
  assert.equal(answered.headers.get("x-request-id"), arrived["x-request-id"]);
  assert.match(arrived.traceparent, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  assert.equal(answered.headers.get("traceparent"), arrived.traceparent);
  assert.equal(arrived.tracestate, "vendor=1");
  for (const path of ["/few/x", "/nobody/x"]) {
    const refused = await call(path, path === "/nobody/x" ? { token: issuer.token() } : {});
    const id = refused.headers.get("x-request-id");
    assert.match(id, /^[0-9a-f]{32}$/);
    await eventually(() => gateway.logs.find(({ requestId }) => requestId === id));
  }
});
