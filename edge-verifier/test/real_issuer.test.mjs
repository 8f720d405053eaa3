// The gateway before the real issuer: what is promised about sign-outs, keys and outages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { startGateway } from "./support/gateway.mjs";
import { startTollgate, until } from "./support/tollgate.mjs";
import { code, oneRoute } from "./support/world.mjs";

const REFUSED_WITHIN_MS = 2000;
const N_LOGOUTS = 100;

/** @type {Awaited<ReturnType<typeof startTollgate>>} */
let issuer;
let second;
let backend;
let gateway;

before(async () => {
  issuer = await startTollgate({ KEY_PUBLISH_AHEAD: "3" });
  second = await issuer.second();
  backend = await startBackend();
  // Keys are fetched again after a second, so that a rotation needs no more than seconds here.
  const toml = oneRoute({ issuer, backend }, "", "jwks = { soft_s = 1, hard_s = 600 }");
  gateway = await startGateway({ toml });
  await issuer.register("ada");
});

after(async () => {
  await gateway?.close();
  await backend?.close();
  await second?.close();
  await issuer?.close();
});

const call = (token) => fetch(`${gateway.url}/api/x`, { headers: { authorization: `Bearer ${token}` } });

/** Calls with a token at a steady rate until stopped; what was answered. */
function flow(token, perSecond) {
  const answers = [];
  const pending = new Set();
  const timer = setInterval(() => {
    const answer = call(token()).then(code, () => "no answer");
    pending.add(answer.then((text) => answers.push(text)));
  }, 1000 / perSecond);
  return async () => {
    clearInterval(timer);
    await Promise.all(pending);
    return answers;
  };
}

test("each_of_100_logouts_is_refused_within_two_seconds_while_requests_flow", async (t) => {
  const { accessToken: watched } = await issuer.login("ada");
  const stop = flow(() => watched, 20);
  const times = [];
  for (let n = 0; n < N_LOGOUTS; n += 1) {
    const { accessToken } = await issuer.login("ada");
    assert.equal(await code(await call(accessToken)), "200");
    assert.equal((await issuer.logout(accessToken)).status, 200);
    const ended = performance.now();
    await until(async () => (await code(await call(accessToken))) === "401 revoked", 10_000);
    times.push(performance.now() - ended);
  }
  const answers = await stop();
  assert.deepEqual(new Set(answers), new Set(["200"]), "the session beside them is untouched");
  times.sort((a, b) => a - b);
  const [median, slowest] = [times[N_LOGOUTS / 2], times.at(-1)].map(Math.round);
  t.diagnostic(`logout to refusal: median ${median} ms, slowest of ${N_LOGOUTS} ${slowest} ms`);
  assert.ok(slowest <= REFUSED_WITHIN_MS, `${slowest} ms`);
});

test("of_100_logouts_at_once_through_two_issuers_the_gateway_misses_none", async () => {
  const sessions = [];
  for (let n = 0; n < N_LOGOUTS; n += 1) sessions.push((await issuer.login("ada")).accessToken);
  const { accessToken: watched } = await issuer.login("ada");
  const stop = flow(() => watched, 20);
  const logouts = sessions.map((token, n) => (n % 2 === 0 ? issuer : second).logout(token));
  for (const { status } of await Promise.all(logouts)) assert.equal(status, 200);
  const all = async () => {
    const codes = await Promise.all(sessions.map(async (token) => code(await call(token))));
    return codes.every((text) => text === "401 revoked");
  };
  await until(all, REFUSED_WITHIN_MS);
  assert.deepEqual(new Set(await stop()), new Set(["200"]));
});

test("access_token_of_a_session_ended_for_reuse_is_refused", async () => {
  const login = await issuer.login("ada");
  const next = await issuer.refresh(login.refreshToken);
  const later = await issuer.refresh(next.body.refreshToken);
  assert.equal(later.status, 200);
  // Two rotations and the grace of ten seconds later the first token can only be a thief's.
  await new Promise((resolve) => setTimeout(resolve, 10_100));
  const reuse = await issuer.refresh(login.refreshToken);
  assert.equal(reuse.body.code, "refresh_token_reused");
  await until(async () => (await code(await call(later.body.accessToken))) === "401 revoked", REFUSED_WITHIN_MS);
});

test("rotation_under_load_refuses_nobody_and_a_revoked_key_is_refused_at_once", async (t) => {
  let { accessToken } = await issuer.login("ada");
  const stop = flow(() => accessToken, 50);
  const young = issuer.run("keys", "rotate");
  if (young.status !== 0) assert.match(young.stderr, /try again in \d+ s/);
  const rotated = async () => {
    const { status, stdout } = issuer.run("keys", "rotate", "--json");
    return status === 0 && JSON.parse(stdout).active;
  };
  let active;
  await until(async () => (active = await rotated()), 10_000);
  // Tokens of the key before and of the key after flow side by side.
  for (let n = 0; n < 10; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    ({ accessToken } = await issuer.login("ada"));
  }
  const answers = await stop();
  t.diagnostic(`${answers.length} requests during the rotation`);
  assert.deepEqual(new Set(answers), new Set(["200"]));

  const { accessToken: doomed } = await issuer.login("ada");
  assert.equal(await code(await call(doomed)), "200");
  assert.equal(issuer.run("keys", "revoke", active).status, 0);
  const revoked = performance.now();
  await until(async () => (await code(await call(doomed))).startsWith("401"), REFUSED_WITHIN_MS);
  t.diagnostic(`key revoked to refusal: ${Math.round(performance.now() - revoked)} ms`);
  // The issuer notices within a second that another process changed the keys.
  await until(async () => {
    const fresh = await issuer.login("ada");
    return (await code(await call(fresh.accessToken))) === "200";
  }, REFUSED_WITHIN_MS);
});

test("killed_database_loses_nothing_acknowledged_and_the_gateway_does_not_notice", async () => {
  const { accessToken } = await issuer.login("ada");
  assert.equal(await code(await call(accessToken)), "200");
  const stop = flow(() => accessToken, 20);
  const acknowledged = [];
  let registering = true;
  const load = (async () => {
    for (let n = 0; registering; n += 1) {
      const { status } = await issuer.register(`crash${n}`);
      if (status === 201) acknowledged.push(`crash${n}`);
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  issuer.killDatabase();
  await until(async () => !(await fetch(`${issuer.url}/ready`)).ok, 10_000);
  await until(async () => (await fetch(`${issuer.url}/ready`)).ok, 20_000);
  registering = false;
  await load;
  assert.deepEqual(new Set(await stop()), new Set(["200"]));
  assert.ok(acknowledged.length > 0);
  for (const name of acknowledged) await issuer.login(name);
});

test("stopped_issuers_leave_valid_tokens_accepted_and_the_status_says_how_old_all_is", async () => {
  const { accessToken } = await issuer.login("ada");
  assert.equal(await code(await call(accessToken)), "200");
  await second.close();
  await issuer.close();
  second = undefined;
  issuer = undefined;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  for (let n = 0; n < 20; n += 1) assert.equal(await code(await call(accessToken)), "200");
  const { jwks, revocations } = await gateway.status();
  assert.ok(jwks.ageSecs >= 1 && revocations.ageSecs >= 1, JSON.stringify({ jwks, revocations }));
});
