// A broken instance is replaced, and nobody notices but the request that broke it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { code, oneRoute, startWorld } from "./support/world.mjs";

let world;
before(async () => {
  world = await startWorld(oneRoute, { gateway: { probe: true } });
});
after(() => world.close());

test("trap_is_503_and_the_next_request_has_a_new_instance", async () => {
  const token = world.issuer.token();
  for (let round = 0; round < 5; round += 1) {
    assert.equal(await code(await world.call("/api/x", { token })), "200");
    const trapped = await world.call("/api/x", { token, headers: { "x-probe-trap": "1" } });
    assert.equal(trapped.headers.get("retry-after"), "1");
    assert.equal(await code(trapped), "503 unavailable");
  }
  assert.equal(await code(await world.call("/api/x", { token })), "200");
  assert.deepEqual(
    world.gateway.logs.filter((line) => line.event === "broken").map((line) => line.outcome),
    Array(5).fill("trap"),
  );
});

test("requests_under_way_during_a_trap_are_answered", async () => {
  const token = world.issuer.token();
  const calls = Array.from({ length: 40 }, (_, n) =>
    world.call("/api/x", { token, headers: n % 10 === 5 ? { "x-probe-trap": "1" } : {} }),
  );
  const codes = await Promise.all(calls.map(async (response) => code(await response)));
  assert.equal(codes.filter((code) => code === "503 unavailable").length, 4);
  assert.equal(codes.filter((code) => code === "200").length, 36);
});
