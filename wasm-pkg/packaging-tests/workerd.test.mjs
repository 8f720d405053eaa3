// The installed package in workerd, where promises and requests do not outlive the request that
// made them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FEED, FEED_JWKS, Issuer, JWKS } from "../test/support/issuer.mjs";
import { install } from "./support/installed.mjs";
import { startWorker } from "./support/workerd.mjs";

/** Calls of a fresh worker with a verifier of this issuer's tokens. */
async function world(t, withFeed = false) {
  const issuer = await Issuer.start(t);
  const call = await startWorker(t, install(t, "worker.mjs"), "worker.mjs");
  const { clock, ...options } = withFeed ? issuer.optionsWithFeed() : issuer.options();
  const verify = async (token = issuer.token()) => {
    const body = JSON.stringify({ options, token, now: issuer.clock.seconds });
    return (await call("/", { method: "POST", body })).json();
  };
  return { issuer, verify, state: async () => (await call("/")).json() };
}

test("a hundred cold requests at once are all answered, by one fetch of each document", async (t) => {
  const { issuer, verify } = await world(t, true);
  const answers = await Promise.all(Array.from({ length: 100 }, () => verify()));
  assert.deepEqual(new Set(answers.map(({ sub, message }) => sub ?? message)), new Set(["user-1"]));
  assert.deepEqual([...issuer.requests].sort(), [FEED_JWKS, JWKS, FEED]);
});

test("refresh of stale keys goes on after its request was answered", async (t) => {
  const { issuer, verify, state } = await world(t);
  await verify();
  issuer.clock.advance(300);
  const asked = new Promise((resolve) => {
    issuer.instead[JWKS] = (response) => resolve(() => response.end(JSON.stringify(issuer.jwks())));
  });
  assert.equal((await verify()).sub, "user-1");
  const answer = await asked;
  assert.equal((await state()).keys.state, "soft_stale");
  answer();
  await until(async () => (await state()).keys.state === "fresh");
  assert.equal(issuer.count(JWKS), 2);
});

test("revoked token is refused by the request after the next poll", async (t) => {
  const { issuer, verify, state } = await world(t, true);
  const token = issuer.token({ sid: "ended" });
  assert.equal((await verify(token)).sub, "user-1");
  issuer.revoke("ended");
  issuer.clock.advance(1);
  await verify();
  await until(async () => (await state()).revocations.seq === 2);
  assert.equal((await verify(token)).code, "revoked");
});

test("redirect is not followed", async (t) => {
  const { issuer, verify } = await world(t);
  issuer.instead[JWKS] = (response) =>
    response.writeHead(302, { location: `${issuer.url}/elsewhere` }).end();
  issuer.instead["/elsewhere"] = (response) => response.end(JSON.stringify(issuer.jwks()));
  assert.equal((await verify()).code, "keys_unavailable");
  assert.deepEqual(issuer.requests, [JWKS]);
});

/** Lets what is under way go on until something holds. */
async function until(holds) {
  for (let turn = 0; !(await holds()); turn += 1) {
    assert.ok(turn < 500, `did not come: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
