// Routes that cost credits, before the real issuer: what is charged, what is not, and what
// nobody gains by tricks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { makeServiceToken, secretBinding, startPaid } from "./support/paid.mjs";
import { until } from "./support/tollgate.mjs";
import { code } from "./support/world.mjs";
import { minuteWithRoom } from "./support/minute.mjs";

const ROUTES = `
  [[route]]
  id = "search"
  path = "/search/*"
  cost = 3
  [[route]]
  id = "strictly"
  path = "/strictly/*"
  cost = 3
  charge_4xx = true
  [[route]]
  id = "before"
  path = "/before/*"
  cost = 3
  charge = "before"
  [[route]]
  id = "upload"
  path = "/upload/*"
  cost = 3
  max_body_bytes = 1000
  [[route]]
  id = "dear"
  path = "/dear/*"
  cost = 400
  [[route]]
  id = "few"
  path = "/few/*"
  cost = 3
  limits = { per_user = "4/min" }
  [[route]]
  id = "many"
  path = "/many/*"
  cost = 3
  charge = "before"
  limits = { per_user = "1000/s", failed_auth = "1000/s" }
  [[route]]
  id = "watched"
  path = "/watched/*"
  cost = 3
  token = "websocket"
  revocation = { mode = "strict" }
  server_timing = true
  [[route]]
  id = "free"
  path = "/free/*"`;

let world;
before(async () => {
  world = await startPaid(ROUTES, { probe: true });
});
after(() => world?.close());

const posts = (pattern) => world.wire.seen.filter(({ path }) => pattern.test(path));
const error = (response) => code(response);

test("a_delivered_request_is_charged_once_and_the_client_reads_what_it_has_cost", async () => {
  const ada = await world.user("ada");
  const response = await world.call("/search/200", ada, { headers: { origin: "https://app.example" } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-credits-charged"), "3", "what the backend says of it is removed");
  assert.match(response.headers.get("access-control-expose-headers"), /x-credits-charged/);
  assert.equal(await response.text(), "200");
  assert.equal(await ada.settled(), 3);
  const [newest] = await ada.transactions();
  assert.deepEqual(
    [newest.type, newest.amount, newest.appId, newest.description],
    ["usage", -3, "shop", "search"],
  );
  const free = await world.call("/free/200", ada);
  assert.equal(free.headers.get("x-credits-charged"), "0", "a route without a cost is none of its business");
  assert.equal(await ada.settled(), 3);
});

test("what_is_charged_follows_from_the_backends_answer", async () => {
  const table = [
    ["/search/204", "204", 3],
    ["/search/302", "302", 3],
    ["/search/400", "400", 0],
    ["/search/404", "404", 0],
    ["/search/500", "500", 0],
    ["/search/503", "503", 0],
    ["/search/hang", "504 upstream_timeout", 0],
    ["/search/cut", "502 upstream_unreachable", 0],
    ["/strictly/200", "200", 3],
    ["/strictly/404", "404", 3],
    ["/strictly/500", "500", 0],
    ["/before/200", "200", 3],
    ["/before/500", "500", 3],
    ["/before/cut", "502 upstream_unreachable", 3],
  ];
  for (const [n, [path, wanted, charged]] of table.entries()) {
    const user = await world.user(`table${n}`);
    const response = await world.call(path, user);
    // The backend claims 0 on every answer of its own.
    const told = response.headers.get("x-credits-charged");
    assert.equal(await error(response), wanted, path);
    assert.equal(told, charged === 0 ? null : "3", path);
    assert.equal(await user.settled(), charged, path);
  }
});

test("refused_requests_cost_nothing_and_hold_nothing", async () => {
  const user = await world.user("refused");
  const before = posts(/./).length;
  const upload = (body, headers) => world.call("/upload/200", user, { method: "POST", body, headers, duplex: "half" });
  assert.equal(await error(await world.call("/search/200", { token: "x" })), "401 malformed");
  assert.equal(await error(await world.call("/search/200", user, { method: "PUT" })), "405 method_not_allowed");
  assert.equal(await error(await upload("x".repeat(1001))), "413 payload_too_large");
  assert.equal(posts(/./).length, before, "the issuer is not asked");
  // Whose size nobody has announced is found too large on the way; then the hold is given back.
  const stream = new Blob(["x".repeat(5000)]).stream();
  assert.equal(await error(await upload(stream)), "413 payload_too_large");
  assert.equal(await user.settled(), 0);
});

test("without_enough_credits_402_says_the_balance_and_the_backend_is_not_asked", async () => {
  const user = await world.user("poor");
  for (let n = 0; n < 2; n += 1) assert.equal((await world.call("/dear/200", user)).status, 200);
  const { asked } = world.backend;
  const refused = await world.call("/dear/200", user, { headers: { origin: "https://app.example" } });
  assert.equal(refused.status, 402);
  assert.equal(refused.headers.get("access-control-allow-origin"), "https://app.example");
  const problem = await refused.json();
  assert.deepEqual([problem.code, problem.balance], ["insufficient_credits", 200]);
  assert.equal(world.backend.asked, asked);
  // Twenty at once for what suffices for twenty thirds: no more pass than are paid.
  const answers = await Promise.all(
    Array.from({ length: 100 }, async () => (await world.call("/search/200?after=50", user)).status),
  );
  assert.equal(answers.filter((status) => status === 200).length, 66);
  assert.equal(answers.filter((status) => status === 402).length, 34);
  assert.equal(await user.settled(), 998);
});

test("while_the_issuer_is_away_nothing_passes_free_of_charge", async () => {
  const user = await world.user("away");
  const { asked } = world.backend;
  world.wire.isCut = true;
  for (const path of ["/search/200", "/before/200"]) {
    const refused = await world.call(path, user);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    assert.equal(await error(refused), "503 unavailable");
  }
  assert.equal((await world.call("/free/200", user)).status, 200, "verification needs no issuer");
  world.wire.isCut = false;
  assert.equal(world.backend.asked, asked + 1);
  assert.equal((await world.call("/search/200", user)).status, 200);
  assert.equal(await user.settled(), 3);
});

test("lost_answers_are_asked_for_again_with_the_same_key_and_charge_once", async () => {
  for (const [n, [path, lost, wanted]] of [
    ["/search/200", /\/holds$/, 3],
    ["/search/200", /\/capture$/, 3],
    ["/search/500", /\/release$/, 0],
    ["/before/200", /\/use$/, 3],
  ].entries()) {
    const user = await world.user(`lost${n}`);
    const before = posts(lost).length;
    world.wire.lose(lost, 2);
    const response = await world.call(path, user);
    assert.equal(response.status, path.endsWith("500") ? 500 : 200);
    assert.equal(await user.settled(), wanted, `${lost}`);
    await until(async () => posts(lost).length === before + 3, 5_000);
    const keys = posts(lost).slice(before).map(({ key }) => key);
    assert.equal(new Set(keys).size, 1, `${lost}`);
    assert.match(keys[0], /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:\w+)?$/);
    const entries = (await user.transactions()).filter(({ type }) => type === "usage");
    assert.equal(entries.length, wanted === 0 ? 0 : 1);
  }
});

test("a_capture_that_stays_unanswered_is_delivered_and_asked_for_in_the_background", async () => {
  const user = await world.user("patience");
  world.wire.lose(/\/capture$/, 3);
  const response = await world.call("/search/200", user);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-credits-charged"), null, "nobody knows yet");
  const before = posts(/\/capture$/).length;
  await until(async () => posts(/\/capture$/).length > before, 5_000);
  assert.equal(await user.settled(), 3);
});

test("the_answer_goes_on_when_it_is_paid_and_not_before", async () => {
  const user = await world.user("paid");
  const release = world.wire.hold(/\/capture$/);
  let answered = false;
  const { delivered } = world.backend;
  const response = world.call("/search/200", user).finally(() => (answered = true));
  await until(async () => posts(/\/capture$/).length > 0 && world.backend.delivered > delivered, 5_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(answered, false);
  release();
  assert.equal((await response).headers.get("x-credits-charged"), "3");
  assert.equal(await user.settled(), 3);
});

test("a_websocket_is_paid_for_when_it_opens", async () => {
  const user = await world.user("socket");
  const open = async (path) => {
    const headers = { authorization: `Bearer ${user.token}` };
    const socket = new WebSocket(`${world.gateway.url.replace("http", "ws")}${path}`, { headers });
    return new Promise((resolve) => {
      socket.addEventListener("open", () => socket.send("hello"));
      socket.addEventListener("message", ({ data }) => resolve(data) ?? socket.close());
      socket.addEventListener("error", () => resolve("refused"));
    });
  };
  assert.equal(await open("/search/socket"), "hello");
  assert.equal(await user.settled(), 3);
  assert.equal(await open("/dear/socket"), "hello");
  assert.equal(await open("/dear/socket"), "hello");
  assert.equal(await open("/dear/socket"), "refused");
  assert.equal(await user.settled(), 803);
});

test("a_watched_socket_pays_once_and_is_closed_with_its_session", async () => {
  const user = await world.user("watched");
  const url = `${world.gateway.url.replace("http", "ws")}/watched/socket`;
  const socket = new WebSocket(url, ["chat", `bearer.${user.token}`]);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  assert.equal(await user.settled(), 3);
  const before = posts(/./).length;
  assert.equal((await world.issuer.logout(user.token)).status, 200);
  const { code, reason } = await closed;
  assert.deepEqual([code, reason], [4401, "revoked"]);
  assert.equal(posts(/./).length, before, "who looks again does not pay again");
});

test("whoever_asks_too_often_pays_for_what_was_let_through_and_for_nothing_else", async () => {
  const counter = (limit) => ({ type: "rate-limit", namespace: `of ${limit}`, simple: { limit, period: 60 } });
  const env = { ...secretBinding(world.secret), EDGE_PER_USER: counter(3), EDGE_FAILED_AUTH: counter(1) };
  const gateway = await world.open({ env });
  try {
    // Of the data centre's three and the isolate's four the smaller number counts, and each
    // request counts once.
    for (const [n, [{ url }, path, passed]] of [
      [world.gateway, "/few/200", 4],
      [gateway, "/few/200", 3],
      [gateway, "/many/200", 3],
    ].entries()) {
      const user = await world.user(`often${n}`);
      await minuteWithRoom(10_000);
      const call = () => fetch(`${url}${path}`, { headers: { authorization: `Bearer ${user.token}` } });
      for (let n = 0; n < passed; n += 1) assert.equal((await call()).headers.get("x-credits-charged"), "3", path);
      const before = posts(/./).length;
      const refused = await call();
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      assert.equal(refused.headers.get("x-credits-charged"), null);
      assert.equal(await error(refused), "429 rate_limited", path);
      assert.equal(posts(/./).length, before, "the issuer is not asked");
      assert.equal(await user.settled(), 3 * passed);
    }
    const headers = { authorization: "Bearer a.b.c", "cf-connecting-ip": "203.0.113.9" };
    const guess = () => fetch(`${gateway.url}/many/200`, { headers });
    await minuteWithRoom(10_000);
    assert.equal(await error(await guess()), "401 malformed");
    const refused = await guess();
    assert.equal(refused.headers.get("x-credits-charged"), null, "nobody has paid for a guess");
    assert.equal(await error(refused), "429 rate_limited");
  } finally {
    await gateway.close();
  }
});

test("charged_requests_have_ids_times_and_points_like_all_others", async () => {
  const user = await world.user("named");
  const env = { ...secretBinding(world.secret), METRICS: { type: "text", value: "1" } };
  const gateway = await world.open({ env });
  try {
    const call = (path) => fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${user.token}` } });
    const release = world.wire.hold(/\/capture$/);
    const before = posts(/\/capture$/).length;
    const timed = call("/watched/200");
    await until(async () => posts(/\/capture$/).length > before, 5_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    release();
    const times = (await timed).headers.get("server-timing").match(/^edge;dur=(\d+), backend;dur=(\d+)$/);
    assert.ok(Number(times[1]) >= 250 && Number(times[2]) < Number(times[1]), "what charging takes is not the backend's");
    assert.match((await timed).headers.get("x-request-id"), /^[0-9a-f]{32}$/);
    for (const [path, wanted] of [
      ["/dear/200", 200],
      ["/dear/200", 200],
      ["/dear/200", 402],
      ["/search/cut", 502],
    ]) {
      const response = await call(path);
      assert.equal(response.status, wanted);
      const id = response.headers.get("x-request-id");
      assert.match(id, /^[0-9a-f]{32}$/);
      if (wanted !== 200) await until(async () => gateway.logs.some(({ requestId }) => requestId === id), 5_000);
    }
    const points = () => gateway.logs.filter(({ event }) => event === "metric");
    await until(async () => points().length === 5, 5_000);
    assert.deepEqual(
      points().map(({ blobs, doubles }) => `${blobs[0]} ${blobs[1]} ${doubles[0]}`),
      [
        "watched forwarded 200",
        "dear forwarded 200",
        "dear forwarded 200",
        "dear insufficient_credits 402",
        "search upstream_unreachable 502",
      ],
    );
  } finally {
    await gateway.close();
  }
});

test("a_trap_elsewhere_does_not_leave_a_capture_undone", async () => {
  const user = await world.user("trapped");
  const release = world.wire.hold(/\/capture$/);
  const before = posts(/\/capture$/).length;
  const response = world.call("/search/200", user);
  await until(async () => posts(/\/capture$/).length > before, 5_000);
  const trapped = await world.call("/free/200", user, { headers: { "x-probe-trap": "1" } });
  assert.equal(await error(trapped), "503 unavailable");
  release();
  assert.equal((await response).status, 200);
  assert.equal(await user.settled(), 3);
});

test("a_client_that_goes_away_leaves_no_hold_open", async () => {
  const user = await world.user("impatient");
  const { delivered } = world.backend;
  const leave = new AbortController();
  const left = world.call("/search/200?after=600", user, { signal: leave.signal }).catch(({ name }) => name);
  await until(async () => (await user.balance()).held === 3, 5_000);
  leave.abort();
  assert.equal(await left, "AbortError");
  const spent = await user.settled();
  assert.equal(world.backend.delivered, delivered + 1);
  assert.equal(spent, 3, "the backend has done the work");
});

test("a_hold_that_has_ended_otherwise_is_no_free_answer", async () => {
  const user = await world.user("ended");
  const { run } = world.issuer;
  const revoked = JSON.parse(run("service-token", "create", "--name", "short", "--app", "shop", "--json").stdout);
  const gateway = await world.open({ env: secretBinding(revoked.secret) });
  try {
    const headers = { authorization: `Bearer ${user.token}` };
    const call = (path) => fetch(`${gateway.url}${path}`, { headers });
    assert.equal((await call("/search/200")).status, 200);
    const late = call("/search/200?after=800");
    await until(async () => (await user.balance()).held === 3, 5_000);
    assert.equal(run("service-token", "revoke", revoked.id).status, 0);
    const withheld = await late;
    assert.equal(withheld.headers.get("x-credits-charged"), null);
    assert.equal(await error(withheld), "503 unavailable");
    assert.equal(await error(await call("/search/200")), "503 unavailable", "no service, no request");
    assert.equal((await user.balance()).totalSpent, 3);
    assert.ok(gateway.logs.some(({ event, outcome }) => event === "credits" && outcome === "service_token_refused"));
  } finally {
    await gateway.close();
  }
});

test("without_the_secret_the_route_is_503_and_the_status_says_so", async () => {
  const user = await world.user("unset");
  for (const [env, words] of [
    [{}, /EDGE_SERVICE_TOKEN has no token for the app shop/],
    [secretBinding("other=tgs_x"), /EDGE_SERVICE_TOKEN has no token for the app shop/],
    [secretBinding("hunter2"), /EDGE_SERVICE_TOKEN is neither/],
  ]) {
    const gateway = await world.open({ env });
    const headers = { authorization: `Bearer ${user.token}` };
    assert.equal(await error(await fetch(`${gateway.url}/search/200`, { headers })), "503 unavailable");
    assert.equal((await fetch(`${gateway.url}/free/200`, { headers })).status, 200);
    const status = await fetch(`${gateway.url}/.well-known/edge/status`);
    assert.equal(status.status, 500);
    const text = await status.text();
    assert.match(text, words);
    assert.doesNotMatch(text, /hunter2|tgs_/);
    await gateway.close();
  }
  const named = await world.open({ env: secretBinding(`shop=${makeServiceToken(world.issuer)}`) });
  assert.equal((await named.status()).problems.length, 0);
  const headers = { authorization: `Bearer ${user.token}` };
  assert.equal((await fetch(`${named.url}/search/200`, { headers })).headers.get("x-credits-charged"), "3");
  await named.close();
});

test("trick_a_user_cannot_end_the_gateways_hold", async () => {
  const user = await world.user("trick1");
  const release = world.wire.hold(/\/capture$/);
  const before = posts(/\/capture$/).length;
  const response = world.call("/search/200", user);
  await until(async () => posts(/\/capture$/).length > before, 5_000);
  // Suppose they knew the hold and the key.
  const { path, key } = posts(/\/capture$/).at(-1);
  const id = path.split("/").at(-2);
  for (const idempotencyKey of [key, key.replace("capture", "release"), "mine"]) {
    for (const end of ["release", "capture"]) {
      const { status } = await world.issuer.post(`/credits/holds/${id}/${end}`, {
        token: user.token,
        body: { idempotencyKey },
      });
      assert.equal(status, 404);
    }
  }
  release();
  assert.equal((await response).status, 200);
  assert.equal(await user.settled(), 3);
});

test("trick_keys_and_ids_a_client_chooses_have_no_part_in_the_charge", async () => {
  const user = await world.user("trick2");
  const headers = {
    "idempotency-key": "the-same",
    "x-request-id": "the-same",
    "x-credits-charged": "0",
    "x-edge-hold": "none",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
  for (let n = 1; n <= 3; n += 1) {
    const response = await world.call("/search/200", user, { headers });
    assert.equal(response.headers.get("x-credits-charged"), "3");
    assert.equal(await user.settled(), 3 * n, "each request is a request");
  }
  assert.ok(world.wire.seen.every(({ key }) => key !== "the-same"));
});

test("trick_a_token_beside_the_own_one_charges_nobody_else", async () => {
  const [eve, bob] = [await world.user("eve"), await world.user("bob")];
  const response = await world.call("/search/200", eve, { headers: { "x-user-token": bob.token } });
  assert.equal(response.status, 200);
  assert.deepEqual([await eve.settled(), await bob.settled()], [3, 0]);
});

test("trick_a_session_that_has_ended_pays_with_nothing", async () => {
  const user = await world.user("leaver");
  assert.equal((await world.call("/search/200", user)).status, 200);
  // The gateway learns of it within a second or two; the issuer, asked for credits, knows at once.
  assert.equal((await world.issuer.logout(user.token)).status, 200);
  await until(async () => (await error(await world.call("/search/200", user))) === "401 revoked", 2_000);
  const { asked } = world.backend;
  await world.call("/search/200", user);
  assert.equal(world.backend.asked, asked);
});
