import assert from "node:assert/strict";
import { test } from "node:test";
import { Issuer } from "./support/issuer.mjs";
import {
  codeAtOnce,
  codeOf,
  createVerifier,
  hasModule,
  VerifyError,
  withModule,
} from "./support/verifier.mjs";

const given = (issuer, more = {}) => {
  const { jwksUri, ...options } = issuer.options();
  return createVerifier({ ...options, jwks: issuer.jwks(), ...more });
};

test("creating a verifier asks nobody anything", async (t) => {
  const issuer = await Issuer.start(t);
  createVerifier(issuer.optionsWithFeed());
  await new Promise(setImmediate);
  assert.deepEqual(issuer.requests, []);
});

test("good token gives its claims by their names in the token", async (t) => {
  const issuer = await Issuer.start(t);
  const token = issuer.token({
    email: "a@example.com",
    email_verified: true,
    role: "user",
    team: { id: 7 },
  });
  const claims = await createVerifier(issuer.options()).verify(token);
  assert.deepEqual(claims, {
    iss: issuer.url,
    sub: "user-1",
    aud: "orders",
    exp: issuer.clock.seconds + 900,
    iat: issuer.clock.seconds,
    jti: "token-1",
    sid: "session-1",
    email: "a@example.com",
    email_verified: true,
    role: "user",
    team: { id: 7 },
  });
});

test("claims cannot be changed, at any depth", async (t) => {
  const issuer = await Issuer.start(t);
  const claims = await given(issuer).verify(
    issuer.token({ team: { roles: ["a"] }, aud: ["orders"] }),
  );
  assert.throws(() => (claims.role = "admin"), TypeError);
  assert.throws(() => claims.aud.push("billing"), TypeError);
  assert.throws(() => claims.team.roles.push("b"), TypeError);
});

test("a claim called __proto__ is a claim and nothing else", async (t) => {
  const issuer = await Issuer.start(t);
  const claims = await given(issuer).verify(
    issuer.token(JSON.parse('{"__proto__":{"role":"admin"}}')),
  );
  assert.equal(claims.role, undefined);
});

test("verify and verifySync give the same verdict", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = given(issuer);
  const good = issuer.token();
  const tokens = [
    [good, "ok"],
    [good.slice(0, -1), "malformed"],
    [good + good, "malformed"],
    [`Bearer ${good}`, "malformed"],
    [`${good.slice(0, -3)}${good.at(-3) === "A" ? "B" : "A"}${good.slice(-2)}`, "bad_signature"],
    ["", "malformed"],
    ["x".repeat(8193), "too_large"],
    ["é".repeat(8192), "too_large"],
    [`${"a".repeat(8191)}é`, "too_large"],
    ["\ud800.\ud800.\ud800", "malformed"],
    [issuer.token({ aud: "billing" }), "wrong_audience"],
    [issuer.token({ iss: "https://elsewhere.example" }), "wrong_issuer"],
    [issuer.token({ exp: issuer.clock.seconds - 30 }), "expired"],
    [issuer.token({ exp: issuer.clock.seconds - 29, iat: issuer.clock.seconds - 900 }), "ok"],
  ];
  for (const [token, expected] of tokens) {
    assert.equal(await codeOf(verifier.verify(token)), expected, token.slice(0, 40));
    assert.equal(await codeAtOnce(verifier, token), expected, token.slice(0, 40));
  }
});

test("whatever is no string is a malformed token, not a fault of the program", async (t) => {
  const verifier = given(await Issuer.start(t));
  for (const token of [undefined, null, 7, {}, [], Buffer.from("a.b.c"), new String("a.b.c")]) {
    assert.equal(await codeOf(verifier.verify(token)), "malformed");
    assert.equal(await codeAtOnce(verifier, token), "malformed");
  }
});

test("token for one of several audiences is accepted", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = given(issuer, { audience: ["billing", "orders"] });
  assert.equal(await codeOf(verifier.verify(issuer.token({ aud: ["mail", "orders"] }))), "ok");
  assert.equal(await codeOf(verifier.verify(issuer.token({ aud: "mail" }))), "wrong_audience");
});

test("leeway is 30 seconds unless the options say otherwise", async (t) => {
  const issuer = await Issuer.start(t);
  const token = issuer.token();
  const [usual, none, most] = [{}, { leeway: 0 }, { leeway: 120 }].map((more) =>
    given(issuer, more),
  );
  issuer.clock.advance(900 + 29);
  assert.equal(await codeOf(usual.verify(token)), "ok");
  assert.equal(await codeOf(none.verify(token)), "expired");
  issuer.clock.advance(1);
  assert.equal(await codeOf(usual.verify(token)), "expired");
  issuer.clock.advance(89);
  assert.equal(await codeOf(most.verify(token)), "ok");
  issuer.clock.advance(1);
  assert.equal(await codeOf(most.verify(token)), "expired");
});

test("without a clock the time is the machine's", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = given(issuer, { clock: undefined });
  const now = Math.floor(Date.now() / 1000);
  const token = (iat) => issuer.token({ iat, exp: iat + 900 });
  assert.equal(await codeOf(verifier.verify(token(now))), "ok");
  assert.equal(await codeOf(verifier.verify(token(now - 1000))), "expired");
  assert.equal(await codeOf(verifier.verify(token(now + 100))), "issued_in_future");
});

test("clock that is none is the program's fault and accepts nothing", async (t) => {
  const issuer = await Issuer.start(t);
  for (const time of [
    Number.NaN,
    -1,
    Number.POSITIVE_INFINITY,
    "1795000000",
    undefined,
    null,
    Date.now(),
  ]) {
    const verifier = given(issuer, { clock: () => time });
    await assert.rejects(verifier.verify(issuer.token()), {
      name: "TypeError",
      message: /seconds since 1970/,
    });
    if (hasModule) assert.throws(() => verifier.verifySync(issuer.token()), TypeError);
  }
});

test("refusal says why, and which claim, but nothing of the token", async (t) => {
  const issuer = await Issuer.start(t);
  const error = await given(issuer)
    .verify(issuer.token({ sid: 7 }))
    .catch((error) => error);
  assert.ok(error instanceof VerifyError && error instanceof Error);
  assert.deepEqual({ ...error }, { code: "invalid_claim", claim: "sid" });
  assert.equal(`${error}`, "VerifyError: a claim has the wrong form (sid)");
  const malformed = await given(issuer)
    .verify("secret.secret.secret")
    .catch((error) => error);
  assert.equal(malformed.claim, undefined);
  assert.doesNotMatch(`${malformed.stack}${JSON.stringify(malformed)}`, /secret/);
});

test("functions work apart from their verifier", async (t) => {
  const issuer = await Issuer.start(t);
  const { verify, verifySync, ready, state } = given(issuer);
  await ready();
  assert.equal((await verify(issuer.token())).sub, "user-1");
  if (hasModule) assert.equal(verifySync(issuer.token()).sub, "user-1");
  assert.equal(state().keys.state, "given");
});

withModule(
  "verifySync waits for nothing: it refuses until keys are there, and has them fetched",
  async (t) => {
    const issuer = await Issuer.start(t);
    const verifier = createVerifier(issuer.options());
    assert.throws(() => verifier.verifySync(issuer.token()), {
      code: "keys_unavailable",
      retryAfter: 1,
    });
    await verifier.ready();
    assert.equal(verifier.verifySync(issuer.token()).sub, "user-1");
    assert.equal(issuer.requests.length, 1);
  },
);

test("state tells how keys are", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createVerifier(issuer.options());
  assert.deepEqual(verifier.state(), {
    wasm: "ready",
    keys: { state: "empty", ageSeconds: null, kids: [] },
    revocations: null,
    alarms: 0,
  });
  await verifier.ready();
  issuer.clock.advance(7);
  assert.deepEqual(verifier.state().keys, {
    state: "fresh",
    ageSeconds: 7,
    kids: [issuer.key.kid],
  });
});
