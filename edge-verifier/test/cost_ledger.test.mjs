// The ledger against what was delivered, request by request, also when the gateway is killed.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { BONUS, startPaid } from "./support/paid.mjs";
import { until } from "./support/tollgate.mjs";

const ROUTES = `
  [[route]]
  id = "search"
  path = "/search/*"
  timeout_ms = 300
  cost = 3
  [[route]]
  id = "strictly"
  path = "/strictly/*"
  cost = 2
  charge_4xx = true`;

const N_REQUESTS = Number(process.env.PROVE_REQUESTS ?? 240);
const IS_PROOF = process.env.PROVE_REQUESTS !== undefined;
const N_USERS = 4;
const N_CLIENTS = 16;
/** The timeout of the route and a minute. */
const LAPSED_WITHIN_MS = 75_000;

/** A third fails, in every way there is. */
const KINDS = [
  { path: "/search/200", charged: 3 },
  { path: "/search/200", charged: 3 },
  { path: "/search/500", charged: 0 },
  { path: "/search/204", charged: 3 },
  { path: "/strictly/404", charged: 2 },
  { path: "/search/cut", charged: 0 },
  { path: "/search/302", charged: 3 },
  { path: "/strictly/200", charged: 2 },
  { path: "/search/404", charged: 0 },
  { path: "/search/200?after=30", charged: 3 },
  { path: "/search/200?after=80", charged: 3 },
  { path: "/search/hang", charged: 0 },
];

let world;
before(async () => {
  world = await startPaid(ROUTES);
});
after(() => world?.close());

/** Runs jobs by so many clients at once, until they are done or one says that it is over. */
async function crowd(jobs, work) {
  const waiting = [...jobs];
  const client = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await work(job);
  };
  await Promise.all(Array.from({ length: N_CLIENTS }, client));
}

test("mixed_requests_leave_exactly_what_was_delivered_in_the_ledger", async (t) => {
  // Enough for all of them: a request costs 3 at most.
  const n = Math.ceil((N_REQUESTS * 3) / BONUS);
  const users = await Promise.all(Array.from({ length: Math.max(N_USERS, n) }, (_, i) => world.user(`mixed${i}`)));
  const owed = users.map(() => 0);
  const told = users.map(() => 0);
  const jobs = Array.from({ length: N_REQUESTS }, (_, i) => ({ kind: KINDS[i % KINDS.length], who: i % users.length }));
  let failed = 0;
  await crowd(jobs, async ({ kind, who }) => {
    const response = await world.call(kind.path, users[who]);
    await response.arrayBuffer();
    const charged = Number(response.headers.get("x-credits-charged") ?? 0);
    assert.equal(charged, kind.charged, kind.path);
    told[who] += charged;
    owed[who] += kind.charged;
    failed += kind.charged === 0 ? 1 : 0;
  });
  const spent = [];
  for (const user of users) spent.push(await user.settled());
  assert.deepEqual(spent, owed);
  assert.deepEqual(told, owed);
  assert.ok(failed >= N_REQUESTS / 3 - 1);
  assert.equal(world.issuer.run("credits", "reconcile").status, 0);
  const total = owed.reduce((sum, one) => sum + one);
  t.diagnostic(`figure: ${N_REQUESTS} requests, ${failed} failed: ${total} credits delivered, ${total} in the ledger`);
});

test("a_gateway_killed_midway_charges_nothing_undelivered_and_its_holds_lapse", async (t) => {
  const users = await Promise.all(Array.from({ length: N_USERS }, (_, i) => world.user(`killed${i}`)));
  const n = Math.min(N_REQUESTS, Math.floor((BONUS / 3) * N_USERS));
  const { delivered } = world.backend;
  const jobs = Array.from({ length: n }, (_, i) => ({ i, user: users[i % N_USERS] }));
  let received = 0;
  let unanswered = 0;
  let begun = 0;
  await crowd(jobs, async ({ user, i }) => {
    begun += 1;
    if (begun === Math.floor(n / 2)) kill();
    const wanted = i % 3 === 2 ? "500" : "200?after=20";
    const response = await world.call(`/search/${wanted}`, user).catch(() => undefined);
    if (response === undefined) unanswered += 1;
    else if (response.headers.has("x-credits-charged")) received += 1;
  });
  const charges = await Promise.all(users.map(async (user) => (await user.transactions()).filter(({ type }) => type === "usage")));
  const charged = charges.flat().length;
  const byBackend = world.backend.delivered - delivered;
  const balances = await Promise.all(users.map((user) => user.balance()));
  const held = balances.reduce((sum, { held }) => sum + held / 3, 0);
  const facts = { n, unanswered, byBackend, charged, received, held };
  const text = JSON.stringify(facts);
  assert.ok(unanswered >= 1 && received >= n / 10, text);
  assert.ok(charged <= byBackend, `nothing is charged that the backend did not deliver: ${text}`);
  assert.ok(received <= charged, `nothing was passed on uncharged: ${text}`);
  assert.ok(byBackend - charged <= N_CLIENTS, `uncharged is at most what was in flight: ${text}`);
  assert.ok(charged - received <= N_CLIENTS, `charged and not passed on is at most what was in flight: ${text}`);
  assert.ok(held <= N_CLIENTS, text);
  assert.equal(world.issuer.run("credits", "reconcile").status, 0);
  t.diagnostic(`figure: killed midway: ${text}`);
  if (!IS_PROOF) return;
  await until(async () => (await Promise.all(users.map((user) => user.balance()))).every(({ held }) => held === 0), LAPSED_WITHIN_MS);
  for (const [index, user] of users.entries()) {
    const { balance, totalSpent } = await user.balance();
    assert.equal(totalSpent, 3 * charges[index].length);
    assert.equal(balance, BONUS - totalSpent);
  }
  t.diagnostic(`figure: ${held} holds of the killed gateway have lapsed`);
});

/** `kill -9` of the runtime, whose processes are this one's children. */
function kill() {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, parent] = readFileSync(`/proc/${pid}/stat`, "utf8").match(/^\d+ \((.*)\) \w (\d+) /);
      if (name === "workerd" && Number(parent) === process.pid) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
