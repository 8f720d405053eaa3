import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { beginCharge, checkCharge } from "../js/backend/charge.mjs";
import { createGuard, fromWeb, Refusal } from "../js/entries/backend.mjs";
import { charge as honoCharge } from "../js/entries/hono.mjs";

const verifier = { verify: async () => ({ sub: "user-1", sid: "session-1", role: "user" }) };
const HOLD = { id: "hold/1", amount: 10, captured: 0, status: "open", appId: "orders" };

/** The credits API as far as backends see it. `answers` are given in turn, the last one for ever. */
async function world(t, answers = {}, more = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const path = request.url.replace("/api/v1/credits", "");
    const text = String(Buffer.concat(await request.toArray()));
    const { authorization } = request.headers;
    requests.push({
      path,
      method: request.method,
      authorization,
      body: text ? JSON.parse(text) : null,
    });
    const given = answers[path] ?? [{ status: 200, body: path === "/holds" ? { hold: HOLD } : {} }];
    const answer = given.length > 1 ? given.shift() : given[0];
    if (answer === "lost") return response.destroy();
    const { status = 200, body = {}, headers = {} } = answer;
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  const unsettled = [];
  const onUnsettled = (error, id) => unsettled.push([error.code ?? error.message, id]);
  const guard = createGuard({
    verifier,
    credits: { baseUrl, appId: "orders", onUnsettled, ...more },
  });
  const headers = { authorization: "Bearer the-token" };
  const auth = await guard.authenticate(fromWeb(new Request("https://a.example", { headers })));
  return { auth, credits: auth.credits, requests, unsettled };
}

const refusal = (status, code, more = {}) => ({
  status,
  body: { code, title: code, detail: code, ...more },
});
const REPORT = checkCharge({ amount: 10, description: "A report" });

test("spending is asked for with the user's token, the app and a key of its own", async (t) => {
  const { credits, requests } = await world(t);
  await credits.use({ amount: 3, description: "Three" });
  await credits.use({ amount: 3, description: "Three" });
  const [first, second] = requests;
  assert.equal(first.authorization, "Bearer the-token");
  const { idempotencyKey, ...body } = first.body;
  assert.deepEqual(body, { amount: 3, description: "Three", appId: "orders" });
  assert.ok(idempotencyKey.length >= 16);
  assert.notEqual(second.body.idempotencyKey, idempotencyKey);
});

test("lost answer is asked for again with the same key, and a key of the caller's is kept", async (t) => {
  const { credits, requests } = await world(t, { "/use": ["lost", { body: { balance: 5 } }] });
  const { balance } = await credits.use({
    amount: 1,
    description: "One",
    idempotencyKey: "order-17",
  });
  assert.equal(balance, 5);
  assert.deepEqual(
    requests.map(({ body }) => body.idempotencyKey),
    ["order-17", "order-17"],
  );
});

test("what the issuer refuses is a refusal with its code, status and balance", async (t) => {
  const poor = refusal(402, "insufficient_credits", { balance: 2 });
  const slow = { ...refusal(429, "rate_limited"), headers: { "retry-after": "9" } };
  const ended = refusal(401, "session_revoked");
  const { credits } = await world(t, { "/use": [poor, slow, ended] });
  const spend = () => credits.use({ amount: 5, description: "Five" }).catch((error) => error);
  const error = await spend();
  assert.ok(error instanceof Refusal);
  assert.deepEqual(
    [error.status, error.code, error.problem.balance],
    [402, "insufficient_credits", 2],
  );
  assert.equal((await spend()).headers["retry-after"], "9");
  assert.match((await spend()).headers["www-authenticate"], /error="invalid_token"/);
});

for (const [what, answer] of [
  ["does not answer", "lost"],
  ["fails", refusal(500, "internal")],
  ["answers nonsense", { status: 400, body: ["?"] }],
]) {
  test(`while the issuer ${what} the refusal is 503 with Retry-After`, async (t) => {
    const { credits } = await world(t, { "/balance": [answer] });
    const error = await credits.balance().catch((error) => error);
    assert.deepEqual([error.status, error.code], [503, "unavailable"]);
    assert.equal(error.headers["retry-after"], "1");
  });
}

test("hold is captured in part and released, each by a key of its own", async (t) => {
  const { credits, requests } = await world(t);
  const hold = await credits.hold({ amount: 10, description: "Long", expiresInSeconds: 60 });
  assert.equal(hold.id, HOLD.id);
  await hold.capture({ amount: 4 });
  await hold.release();
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["/holds", "/holds/hold%2F1/capture", "/holds/hold%2F1/release"],
  );
  assert.equal(new Set(requests.map(({ body }) => body.idempotencyKey)).size, 3);
  assert.equal(requests[1].body.amount, 4);
});

test("service settles the holds that were placed for its users", async (t) => {
  const { credits, requests } = await world(t, {}, { serviceToken: "tgs_secret" });
  await (await credits.hold({ amount: 10 })).capture();
  assert.deepEqual(
    requests.map(({ authorization }) => authorization),
    ["Bearer the-token", "Bearer tgs_secret"],
  );
});

test("charge is captured after success and released otherwise", async (t) => {
  for (const [status, charge, act] of [
    [200, REPORT, "capture"],
    [204, REPORT, "capture"],
    [302, REPORT, "capture"],
    [404, REPORT, "release"],
    [404, { ...REPORT, charge4xx: true }, "capture"],
    [500, { ...REPORT, charge4xx: true }, "release"],
    [0, REPORT, "release"],
  ]) {
    const { auth, requests } = await world(t);
    const settle = await beginCharge(charge, auth, {});
    await settle(status);
    const last = requests.at(-1);
    assert.equal(last.path, `/holds/hold%2F1/${act}`, `${status}`);
    assert.equal(last.body.idempotencyKey, `${act}-hold/1`);
  }
});

test("charge is settled again when an answer is lost, and reported when it cannot be", async (t) => {
  const lost = await world(t, { "/holds/hold%2F1/capture": ["lost", "lost", { body: {} }] });
  await (
    await beginCharge(REPORT, lost.auth, {})
  )(200);
  assert.deepEqual(lost.unsettled, []);
  const keys = lost.requests.slice(1).map(({ body }) => body.idempotencyKey);
  assert.deepEqual(new Set(keys), new Set(["capture-hold/1"]));
  const gone = await world(t, { "/holds/hold%2F1/capture": [refusal(409, "conflict")] });
  await (
    await beginCharge(REPORT, gone.auth, {})
  )(200);
  assert.deepEqual(gone.unsettled, [["conflict", "hold/1"]]);
  assert.equal(gone.requests.length, 2);
});

test("charge before is spent at once, and a price of nothing asks nobody", async (t) => {
  const { auth, requests } = await world(t);
  const before = checkCharge({ amount: 2, description: "Two", when: "before", metadata: { n: 1 } });
  await (
    await beginCharge(before, auth, {})
  )(500);
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["/use"],
  );
  assert.deepEqual(requests[0].body.metadata, { n: 1 });
  const free = checkCharge({ amount: ({ pages }) => pages * 2, description: "By page" });
  await (
    await beginCharge(free, auth, { pages: 0 })
  )(200);
  assert.equal(requests.length, 1);
  await beginCharge(free, auth, { pages: 4 });
  assert.equal(requests.at(-1).body.amount, 8);
});

test("charge refuses nobody's request, and wants a guard with credits", async (t) => {
  await assert.rejects(beginCharge(REPORT, null, {}), { code: "missing_token" });
  await assert.rejects(beginCharge(REPORT, { user: {} }, {}), {
    name: "TypeError",
    message: /credits/,
  });
});

test("in Hono the settlement outlives the answer where the runtime can be told so", async (t) => {
  const { auth, requests } = await world(t);
  const kept = [];
  const executionCtx = { waitUntil: (work) => kept.push(work) };
  const c = { get: () => auth, res: new Response(), executionCtx };
  const middleware = honoCharge({ amount: 10, description: "A report" });
  assert.equal(await middleware(c, async () => {}), undefined);
  assert.equal(kept.length, 1);
  await kept[0];
  assert.equal(requests.at(-1).path, "/holds/hold%2F1/capture");
});

test("charge that says too little is a TypeError", () => {
  for (const [options, says] of [
    [{ description: "A report" }, /amount/],
    [{ amount: 1.5, description: "A report" }, /amount/],
    [{ amount: 0, description: "A report" }, /amount/],
    [{ amount: "10", description: "A report" }, /amount/],
    [{ amount: 10 }, /description/],
    [{ amount: 10, description: "" }, /description/],
    [{ amount: 10, description: "A report", when: "later" }, /when/],
  ]) {
    assert.throws(() => checkCharge(options), { name: "TypeError", message: says });
  }
});
