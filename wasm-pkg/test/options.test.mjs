import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { unavailable } from "../js/errors.mjs";
import { MEANINGS } from "../js/webcrypto/meanings.mjs";
import { makeKey } from "./support/issuer.mjs";
import { createVerifier } from "./support/verifier.mjs";

const jwks = { keys: [makeKey().jwk] };
const jwksUri = "https://id.example.com/.well-known/jwks.json";
const policy = { issuer: "https://id.example.com", audience: "orders" };
const good = { ...policy, jwksUri };

test("options that are enough are accepted", () => {
  for (const options of [
    good,
    { ...policy, jwks },
    { ...good, jwksUri: new URL(jwksUri) },
    { ...good, jwksUri: "http://127.0.0.1:3001/.well-known/jwks.json" },
    { ...good, jwksUri: "http://localhost/jwks" },
    { ...good, jwksUri: "http://[::1]:80/jwks" },
    { ...good, audience: ["orders", "billing"] },
    { ...good, leeway: 0 },
    { ...good, leeway: 120 },
    {
      ...good,
      leeway: undefined,
      clock: undefined,
      fetch: undefined,
      revocationsUri: undefined,
      jwks: undefined,
    },
    {
      ...good,
      fetch,
      clock: () => 0,
      revocationsUri: "https://id.example.com/.well-known/revocations",
    },
  ]) {
    createVerifier(options);
  }
});

test("every bad option is refused at once, with what to do", () => {
  for (const [options, remedy] of [
    [undefined, /needs an object with at least issuer, audience/],
    ["https://id.example.com", /needs an object/],
    [{}, /needs issuer/],
    [{ ...good, issuer: "" }, /needs issuer/],
    [{ ...good, issuer: ["a"] }, /needs issuer/],
    [{ ...good, audience: undefined }, /needs audience/],
    [{ ...good, audience: "" }, /needs audience/],
    [{ ...good, audience: [] }, /needs audience/],
    [{ ...good, audience: ["orders", ""] }, /needs audience/],
    [{ ...good, audience: /orders/ }, /needs audience/],
    [policy, /either jwks or jwksUri/],
    [{ ...good, jwks }, /and not both/],
    [{ ...policy, jwks: JSON.stringify(jwks) }, /key set as an object/],
    [{ ...policy, jwks: jwks.keys }, /key set as an object/],
    [{ ...policy, jwks: null }, /key set as an object/],
    [{ ...good, jwksUri: "/.well-known/jwks.json" }, /jwksUri to be an absolute URL/],
    [{ ...good, jwksUri: 7 }, /jwksUri to be an absolute URL/],
    [{ ...good, jwksUri: "http://id.example.com/jwks" }, /jwksUri to be https/],
    [{ ...good, jwksUri: "http://127.0.0.1.example.com/jwks" }, /jwksUri to be https/],
    [{ ...good, jwksUri: "http://localhost.example.com/jwks" }, /jwksUri to be https/],
    [{ ...good, jwksUri: "file:///etc/jwks.json" }, /jwksUri to be https/],
    [
      { ...good, jwksUri: "https://user:secret@id.example.com/jwks" },
      /jwksUri without user name and password/,
    ],
    [
      { ...good, revocationsUri: "http://id.example.com/revocations" },
      /revocationsUri to be https/,
    ],
    [{ ...good, leeway: -1 }, /leeway of 0 to 120 whole seconds/],
    [{ ...good, leeway: 121 }, /leeway of 0 to 120/],
    [{ ...good, leeway: 1.5 }, /leeway of 0 to 120/],
    [{ ...good, leeway: "30" }, /leeway of 0 to 120/],
    [{ ...good, leeway: null }, /leeway of 0 to 120/],
    [{ ...good, clock: Date.now() }, /clock to be a function/],
    [{ ...good, fetch: "fetch" }, /fetch to be a function/],
    [
      { ...good, audiance: "orders" },
      /does not know the option "audiance"; it knows issuer, audience/,
    ],
    [{ ...good, algorithms: ["none"] }, /does not know the option "algorithms"/],
  ]) {
    assert.throws(() => createVerifier(options), { name: "TypeError", message: remedy });
  }
});

test("key set that cannot be used is refused at once, with the reason", () => {
  const [key, other] = [makeKey().jwk, makeKey().jwk];
  for (const [keys, reason] of [
    [[], /no usable key/],
    [[{ ...key, d: "secret" }], /secret key/],
    [[key, { ...other, kid: key.kid }], /same kid/],
    [[{ ...key, kid: other.kid }], /no usable key/],
    [[{ kty: "RSA", n: "AQAB", e: "AQAB" }], /no usable key/],
    [[7], /expected form/],
    [Array.from({ length: 17 }, () => makeKey().jwk), /more than 16/],
  ]) {
    assert.throws(() => createVerifier({ ...policy, jwks: { keys } }), {
      name: "TypeError",
      message: reason,
    });
  }
});

test("codes and what they mean are the same in the types, without the core and in it", () => {
  const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
  const all = (text, pattern) => [...text.matchAll(pattern)].map(([, found]) => found);
  const types = all(read("../index.d.ts").split("export type VerifyErrorCode =")[1], /"(\w+)"/g);
  const core = read("../../shared-claims/src/error.rs");
  const [codes, meanings] = ["code", "meaning"].map((name) =>
    all(core.split(`fn ${name}(self)`)[1].split("\n    }\n")[0], /"(.+)"/g),
  );
  assert.equal(types.length, 18);
  assert.deepEqual(codes, types);
  const { message } = unavailable();
  assert.deepEqual([...Object.values(MEANINGS), message], meanings);
  assert.deepEqual([...Object.keys(MEANINGS), "keys_unavailable"], types);
});
