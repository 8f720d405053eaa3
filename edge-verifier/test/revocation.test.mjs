// A revoked session is refused within seconds while requests flow.

import assert from "node:assert/strict";
import { test } from "node:test";
import { code, oneRoute, startWorld } from "./support/world.mjs";

const REFUSED_WITHIN_MS = 2000;

async function worldTest(name, options, run) {
  test(name, async () => {
    const toml = (parts) => oneRoute(parts, options.route);
    const world = await startWorld(toml, { prepare: options.prepare });
    try {
      await run(world);
    } finally {
      await world.close();
    }
  });
}

worldTest("revoked_sessions_are_refused_within_two_seconds_while_requests_flow", {}, async (world) => {
  const { issuer, call } = world;
  const stop = flow(world);
  const times = [];
  for (let n = 0; n < 10; n += 1) {
    const token = issuer.token({ sid: `session-${n}` });
    assert.equal(await code(await call("/api/x", { token })), "200");
    issuer.revoke({ sid: `session-${n}` });
    times.push(await refusedAfter(call, token));
  }
  await stop();
  assert.ok(Math.max(...times) <= REFUSED_WITHIN_MS, `slowest ${Math.max(...times)} ms`);
  const polls = issuer.fetched.feed;
  assert.ok(polls <= 2 + times.reduce((sum, time) => sum + time, 0) / 900 + 2, `${polls} polls`);
});

worldTest("denied_key_is_refused_although_the_key_set_still_has_it", {}, async (world) => {
  const { issuer, call } = world;
  const token = issuer.token();
  assert.equal(await code(await call("/api/x", { token })), "200");
  issuer.revoke({ kid: issuer.tokenKey.kid });
  const stop = flow(world, "/elsewhere");
  assert.ok((await refusedAfter(call, token)) <= REFUSED_WITHIN_MS);
  await stop();
});

for (const [mode, name] of [
  ["forged", "signed_by_a_stranger"],
  ["token-key", "signed_by_a_token_key"],
]) {
  const route = 'revocation = { on_stale = "closed" }';
  const prepare = (issuer) => void (issuer.feedMode = mode);
  worldTest(`feed_${name}_counts_as_none`, { route, prepare }, async ({ issuer, gateway, call }) => {
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "503 unavailable");
    assert.equal((await gateway.status()).revocations, null);
  });
}

for (const mode of ["500", "hang"]) {
  const prepare = (issuer) => void (issuer.feedMode = mode);
  worldTest(`cold_isolate_waits_for_a_feed_in_mode_${mode}_but_not_for_long`, { prepare }, async ({ issuer, call }) => {
    const begin = performance.now();
    assert.equal(await code(await call("/api/x", { token: issuer.token() })), "200");
    assert.ok(performance.now() - begin < 1500, "500 ms and the start of the isolate");
  });
}

worldTest("strict_route_asks_before_it_lets_through", { route: 'revocation = { mode = "strict" }' }, async (world) => {
  const { issuer, call } = world;
  const token = issuer.token();
  assert.equal(await code(await call("/api/x", { token })), "200");
  issuer.revoke({ sid: "session-1" });
  await new Promise((resolve) => setTimeout(resolve, 1100)); // No request flows meanwhile.
  assert.equal(await code(await call("/api/x", { token })), "401 revoked");
});

worldTest("issuer_that_comes_back_is_believed_again", {}, async ({ issuer, call }) => {
  const token = issuer.token();
  assert.equal(await code(await call("/api/x", { token })), "200");
  await issuer.close();
  assert.equal(await code(await call("/api/x", { token })), "200");
  await new Promise((resolve) => setTimeout(resolve, 1100)); // Long enough for a poll to fail.
  assert.equal(await code(await call("/api/x", { token })), "200");
  issuer.revoke({ sid: "session-1" });
  await issuer.reopen();
  await refusedAfter(call, token);
});

/** Twenty requests a second, as long as a test needs them. */
function flow({ issuer, call }, path = "/api/flow") {
  const token = issuer.token({ sid: "flow" });
  let flowing = true;
  const done = (async () => {
    while (flowing) {
      await (await call(path, { token })).text();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return async () => {
    flowing = false;
    await done;
  };
}

/** Milliseconds until a token is refused as revoked, asked for twenty times a second. */
async function refusedAfter(call, token) {
  const begin = performance.now();
  while ((await code(await call("/api/x", { token }))) !== "401 revoked") {
    assert.ok(performance.now() - begin < 10_000, "never refused");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return performance.now() - begin;
}
