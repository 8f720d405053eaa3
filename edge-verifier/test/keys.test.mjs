// Where the keys come from, and what happens when they cannot be had.

import assert from "node:assert/strict";
import { test } from "node:test";
import { signingKey } from "./support/issuer.mjs";
import { code, oneRoute, startWorld } from "./support/world.mjs";

/** Runs a test in a world of its own: each begins with a cold isolate. */
function coldTest(name, options, run) {
  test(name, async () => {
    const toml = (parts) => oneRoute(parts, "", options.jwks);
    const world = await startWorld(toml, { prepare: options.prepare, gateway: options.gateway });
    try {
      await run(world);
    } finally {
      await world.close();
    }
  });
}

for (const [mode, usable] of [
  ["ok", true],
  ["short-x", true],
  ["unknown-kty", true],
  ["500", false],
  ["slow", true],
  ["hang", false],
  ["stall", false],
  ["empty", false],
  ["huge", false],
  ["endless", false],
  ["redirect", false],
  ["duplicate-kid", false],
  ["only-short-x", false],
  ["html", false],
]) {
  const name = `key_set_in_mode_${mode.replaceAll("-", "_")}_${usable ? "verifies" : "is_503_and_asked_for_once"}`;
  const options = {
    jwks: "jwks = { timeout_ms = 300 }",
    prepare: (issuer) => void (issuer.keysMode = mode),
  };
  coldTest(name, options, async ({ issuer, call }) => {
    const token = issuer.token();
    const wanted = usable ? "200" : "503 keys_unavailable";
    for (let n = 0; n < 5; n += 1) {
      const response = await call("/api/x", { token });
      if (!usable) assert.match(response.headers.get("retry-after"), /^[1-9]/);
      assert.equal(await code(response), wanted);
    }
    assert.equal(issuer.fetched.jwks, 1, "a failure is not repeated at once");
  });
}

coldTest("cold_burst_is_answered_with_one_fetch", {}, async ({ issuer, call }) => {
  const calls = Array.from({ length: 100 }, () => call("/api/x", { token: issuer.token() }));
  const codes = await Promise.all(calls.map(async (response) => code(await response)));
  assert.deepEqual(new Set(codes), new Set(["200"]));
  assert.equal(issuer.fetched.jwks, 1);
  assert.ok(issuer.fetched.feed <= 2, `${issuer.fetched.feed} polls`);
});

coldTest("issuer_that_stops_leaves_valid_tokens_accepted", {}, async ({ issuer, gateway, call }) => {
  const token = issuer.token();
  assert.equal(await code(await call("/api/x", { token })), "200");
  await issuer.close();
  for (let n = 0; n < 20; n += 1) {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
  }
  const { jwks, revocations } = await gateway.status();
  assert.equal(jwks.state, "fresh");
  assert.ok(Number.isInteger(jwks.ageSecs) && Number.isInteger(revocations.ageSecs));
  await issuer.reopen();
});

coldTest("new_key_is_fetched_once_it_is_seen_and_strangers_cause_one_fetch", {}, async ({ issuer, call }) => {
  assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
  const stranger = (n) => call("/api/x", { token: issuer.token({}, { key: signingKey(100 + n) }) });
  const codes = [];
  for (let n = 0; n < 50; n += 1) codes.push(await code(await stranger(n)));
  assert.deepEqual(new Set(codes), new Set(["401 unknown_key"]));
  assert.ok(issuer.fetched.jwks <= 2, `${issuer.fetched.jwks} fetches`);
  assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200", "good keys stay");
});

coldTest("rotated_key_is_picked_up_by_one_forced_fetch", {}, async ({ issuer, call }) => {
  const old = issuer.token();
  issuer.keysMode = "rotated";
  assert.equal(await code(await call("/api/x", { token: old })), "401 unknown_key");
  const fresh = issuer.token({}, { key: signingKey(9) });
  assert.equal(await code(await call("/api/x", { token: fresh })), "200");
});

coldTest(
  "keys_past_the_soft_limit_are_used_and_renewed_in_the_background",
  { jwks: "jwks = { soft_s = 1, hard_s = 60 }" },
  async ({ issuer, gateway, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    await until(async () => (await gateway.status()).jwks.state === "soft_stale");
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    await until(async () => issuer.fetched.jwks === 2);
    await until(async () => (await gateway.status()).jwks.state === "fresh");
  },
);

coldTest("configured_url_is_replaced_by_the_variable", {}, async (world) => {
  const other = await startWorld(
    ({ backend }) => oneRoute({ issuer: { url: "http://127.0.0.1:9" }, backend }),
    { gateway: { env: { ISSUER_URL: { type: "text", value: world.issuer.url } } } },
  );
  assert.equal(await code(await other.call("/api/x", { token: world.issuer.token() })), "200");
  await other.close();
});

coldTest(
  "unusable_variable_is_500_and_named_in_the_status",
  { gateway: { env: { ISSUER_URL: { type: "text", value: "http://id.example.com" } } } },
  async ({ issuer, gateway, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "500 internal");
    assert.match((await gateway.status()).problems[0], /ISSUER_URL is plain http/);
    assert.equal(issuer.fetched.jwks, 0);
  },
);

coldTest(
  "copy_in_the_cache_serves_the_next_instance_and_a_planted_one_does_not",
  { gateway: { env: { CACHE_SECRET: { type: "text", value: "a secret" } }, probe: true } },
  async ({ issuer, gateway, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    const copy = `${issuer.url}/.well-known/edge-copies/jwks`;
    const peek = () => call("/", { headers: { "x-probe-peek": copy } });
    const restart = () => call("/", { headers: { "x-probe-trap": "1" } });
    await until(async () => (await peek()).status === 200);
    assert.match(await (await peek()).text(), /^\d{13}\n[0-9a-f]{64}\n\{"keys":\[/);

    assert.equal((await restart()).status, 503);
    assert.equal((await gateway.status()).jwks.state, "empty");
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    assert.equal(issuer.fetched.jwks, 1, "the second instance used the copy");

    const forged = `${Date.now()}\n-\n${JSON.stringify({ keys: [signingKey(66).jwk] })}`;
    await call("/", { method: "POST", headers: { "x-probe-plant": copy }, body: forged });
    await restart();
    const intruder = issuer.token({}, { key: signingKey(66) });
    assert.equal(await code(await call("/api/x", { token: intruder })), "401 unknown_key");
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
  },
);

/** The states this waits for come with the clock of another process. */
async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
