// The issuer's key set cannot be had, or strangers ask for keys that nobody has: whom that
// troubles, and how often the issuer is asked.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { jws, signingKey } from "./support/issuer.mjs";
import { code, oneRoute, startWorld } from "./support/world.mjs";

/** The shortest pauses between attempts that fail: jitter takes off half, a second is the least. */
const SHORTEST_PAUSES_MS = [1000, 1000, 2000, 4000, 8000, 16_000, 30_000];
/** A request waits 3 s for the fetch of another and 3 s for its own. */
const ANSWERED_WITHIN_MS = 6500;

/** Runs a test in a world of its own: each begins with a cold isolate. */
function coldTest(name, { jwks = "", mode = "ok", gateway }, run) {
  test(name, async () => {
    const prepare = (issuer) => void (issuer.keysMode = mode);
    const world = await startWorld((parts) => oneRoute(parts, "", jwks), { prepare, gateway });
    try {
      await run(world);
    } finally {
      await world.close();
    }
  });
}

for (const mode of ["500", "hang", "stall", "empty", "huge", "redirect", "duplicate-kid", "html"]) {
  const name = `key_set_in_mode_${mode.replaceAll("-", "_")}_past_the_soft_limit_leaves_a_hundred_of_a_hundred_accepted`;
  coldTest(name, { jwks: "jwks = { soft_s = 1, hard_s = 600, timeout_ms = 500 }" }, async (world) => {
    const { issuer, gateway, call } = world;
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    issuer.keysMode = mode;
    await until(async () => (await gateway.status()).jwks.state === "soft_stale");
    const before = issuer.fetched.jwks;
    const began = performance.now();
    for (let n = 0; n < 100; n += 1) {
      assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    }
    await until(async () => {
      assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
      return (await gateway.status()).jwks.state === "degraded";
    });
    const allowed = attemptsWithin(performance.now() - began);
    const made = issuer.fetched.jwks - before;
    assert.ok(made >= 1 && made <= allowed, `${made} fetches where ${allowed} are allowed`);
  });
}

coldTest(
  "keys_past_the_hard_limit_are_503_with_retry_after_and_come_back_with_the_issuer",
  { jwks: "jwks = { soft_s = 1, hard_s = 2 }" },
  async ({ issuer, gateway, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    issuer.keysMode = "500";
    await until(async () => (await gateway.status()).jwks.state === "hard_stale");
    const refused = await call("/api/x", { token: issuer.token() });
    assert.match(refused.headers.get("retry-after"), /^[1-9]/);
    assert.equal(await code(refused), "503 keys_unavailable");
    issuer.keysMode = "ok";
    await until(async () => (await code(await call("/api/x", { token: issuer.token() }))) === "200");
  },
);

coldTest("thousand_unknown_key_ids_cause_at_most_one_fetch", {}, async ({ issuer, call }) => {
  assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
  const before = issuer.fetched.jwks;
  const answers = await inTurns(1000, () => call("/api/x", { token: strangersToken(issuer) }));
  assert.deepEqual([...answers], ["401 unknown_key"]);
  assert.ok(issuer.fetched.jwks - before <= 1, `${issuer.fetched.jwks - before} fetches`);
  assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200", "good keys stay");
});

coldTest(
  "thousand_unknown_key_ids_in_a_cold_isolate_without_issuer_are_503_after_one_fetch",
  { mode: "500" },
  async ({ issuer, call }) => {
    const began = performance.now();
    const answers = await inTurns(1000, () => call("/api/x", { token: strangersToken(issuer) }));
    assert.deepEqual([...answers], ["503 keys_unavailable"]);
    const allowed = attemptsWithin(performance.now() - began);
    assert.ok(issuer.fetched.jwks <= allowed, `${issuer.fetched.jwks} fetches, ${allowed} are allowed`);
  },
);

coldTest(
  "forced_fetch_of_one_instance_saves_those_of_the_next_ones",
  { gateway: { probe: true } },
  async ({ issuer, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    const before = issuer.fetched.jwks;
    const began = performance.now();
    for (let instance = 0; instance < 10; instance += 1) {
      await call("/", { headers: { "x-probe-trap": "1" } });
      assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
      assert.equal(await code(await call("/api/x", { token: strangersToken(issuer) })), "401 unknown_key");
    }
    const allowed = 1 + Math.floor((performance.now() - began) / MARKER_MS);
    assert.equal(issuer.fetched.jwks - before, allowed, "one for all of them in ten seconds");
  },
);

coldTest("hundred_cold_requests_at_once_share_the_fetch_of_a_slow_issuer", { mode: "slow" }, async (world) => {
  const { issuer } = world;
  assert.deepEqual([...(await burst(world, 100))], ["200"]);
  assert.equal(issuer.fetched.jwks, 1);
});

for (const mode of ["hang", "500", "stall"]) {
  const name = `hundred_cold_requests_at_once_with_a_key_set_in_mode_${mode}_are_all_answered`;
  coldTest(name, { mode }, async (world) => {
    const began = performance.now();
    assert.deepEqual([...(await burst(world, 100))], ["503 keys_unavailable"]);
    const elapsed = performance.now() - began;
    assert.ok(elapsed < ANSWERED_WITHIN_MS, `${elapsed} ms`);
    const allowed = attemptsWithin(elapsed);
    const { jwks } = world.issuer.fetched;
    assert.ok(jwks <= allowed, `${jwks} fetches, ${allowed} are allowed`);
  });
}

coldTest("cold_requests_whose_leader_gave_up_do_not_hang", { mode: "hang" }, async (world) => {
  const { issuer, call } = world;
  const leader = new AbortController();
  const given = call("/api/x", { token: issuer.token(), signal: leader.signal }).catch(() => "gone");
  await until(async () => issuer.fetched.jwks === 1);
  const followers = burst(world, 20);
  leader.abort();
  assert.equal(await given, "gone");
  issuer.keysMode = "ok";
  const answers = await followers;
  assert.ok([...answers].every((answer) => ["200", "503 keys_unavailable"].includes(answer)), [...answers]);
  await until(async () => (await code(await call("/api/x", { token: issuer.token() }))) === "200");
  assert.ok(issuer.fetched.jwks <= 3, `${issuer.fetched.jwks} fetches`);
});

/** Attempts that the shortest pauses leave room for, the first one included. */
function attemptsWithin(elapsedMs) {
  let [n, at] = [1, 0];
  for (const pause of SHORTEST_PAUSES_MS) {
    at += pause;
    if (at <= elapsedMs) n += 1;
  }
  return n;
}

/** A token that names a key of nobody. */
function strangersToken(issuer) {
  const now = Math.floor(Date.now() / 1000);
  const kid = randomBytes(32).toString("base64url");
  const claims = { iss: issuer.url, sub: "a", aud: "tollgate", exp: now + 900, iat: now, jti: "j", sid: "s" };
  return jws(signingKey(7), { typ: "at+jwt", kid }, claims);
}

/** The different answers to so many requests, twenty of them under way at a time. */
async function inTurns(n, ask) {
  const answers = new Set();
  let left = n;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      answers.add(await code(await ask()));
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return answers;
}

/** The different answers to so many requests at once. */
async function burst({ issuer, call }, n) {
  const calls = Array.from({ length: n }, () => call("/api/x", { token: issuer.token() }));
  return new Set(await Promise.all(calls.map(async (response) => code(await response))));
}

/** The states this waits for come with the clock of another process. */
async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** How long the marker of a forced fetch lies in the data centre's cache. */
const MARKER_MS = 10_000;
