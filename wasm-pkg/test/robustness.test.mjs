// Whatever comes in, the module answers. A trap would show as an instance that was replaced.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FEED, Issuer, JWKS } from "./support/issuer.mjs";
import {
  codeAtOnce,
  codeOf,
  hasModule,
  host,
  verifierFor,
  withModule,
} from "./support/verifier.mjs";

const TOKENS = 20_000;
const DOCUMENTS = 2_000;

/** A verifier factory that counts the instances it makes. */
function counting() {
  const made = { instances: 0 };
  const instantiate = () => ((made.instances += 1), host.instantiate());
  return { made, create: verifierFor({ ...host, hasTimers: false, instantiate }) };
}

test("mutated tokens are refused by a documented code and never trap", async (t) => {
  const issuer = await Issuer.start(t);
  const { made, create } = counting();
  const { jwksUri, ...options } = issuer.options();
  const verifier = create({ ...options, jwks: issuer.jwks() });
  const random = new Random(1);
  const good = [issuer.token(), issuer.token({ aud: ["a", "orders"], nbf: 1, team: [[{}]] })];
  const seen = new Map();
  for (let i = 0; i < TOKENS; i += 1) {
    const token = random.mutated(random.pick(good));
    const code = await codeAtOnce(verifier, token);
    assert.ok(good.includes(token) || code !== "ok", token);
    seen.set(code, (seen.get(code) ?? 0) + 1);
  }
  const codes = readFileSync(new URL("../index.d.ts", import.meta.url), "utf8");
  for (const code of seen.keys()) assert.ok(code === "ok" || codes.includes(`"${code}"`), code);
  assert.ok(seen.size > 5, [...seen.keys()].join());
  assert.equal(made.instances, hasModule ? 1 : 0);
});

test("mutated claims under a good signature never trap", async (t) => {
  const issuer = await Issuer.start(t);
  const { made, create } = counting();
  const { jwksUri, ...options } = issuer.options();
  const verifier = create({ ...options, jwks: issuer.jwks() });
  const random = new Random(2);
  const claims = JSON.stringify({ iss: issuer.url, sub: "é\u0000", aud: ["orders"], exp: 1e9 });
  for (let i = 0; i < DOCUMENTS; i += 1) {
    const token = issuer.sign(random.mutated(claims));
    assert.notEqual(await codeAtOnce(verifier, token), "ok");
  }
  assert.equal(made.instances, hasModule ? 1 : 0);
});

test("mutated key sets and feeds never trap", async (t) => {
  const issuer = await Issuer.start(t);
  const random = new Random(3);
  const mutate = (text) => (response) => response.end(random.mutated(text()));
  issuer.instead[JWKS] = mutate(() => JSON.stringify(issuer.jwks()));
  issuer.instead[FEED] = mutate(() => issuer.feed());
  const { made, create } = counting();
  const codes = new Set();
  for (let i = 0; i < DOCUMENTS / 10; i += 1) {
    const verifier = create(issuer.optionsWithFeed());
    for (let poll = 0; poll < 3; poll += 1) {
      codes.add(await codeOf(verifier.verify(issuer.token())));
      issuer.clock.advance(61);
    }
  }
  const expected = ["keys_unavailable", "ok", "unknown_key"];
  assert.ok(
    [...codes].every((code) => expected.includes(code)),
    [...codes].join(),
  );
  assert.ok(codes.size > 1);
  assert.equal(made.instances, hasModule ? DOCUMENTS / 10 : 0);
});

withModule("module that was not opened does nothing and says 0, whatever it is asked", () => {
  const { memory, input, output, open, ...rest } = host.instantiate().exports;
  assert.ok(input(16) > 0);
  for (const [name, call] of Object.entries(rest)) {
    for (const number of [0, 1, 16, 17, 0xffffffff, Number.NaN]) {
      assert.ok(!call(...Array(call.length).fill(number)), `${name}(${number})`);
    }
  }
});

/** Numbers that are the same in every run (mulberry32). */
class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  below(n) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let z = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) % n;
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  /** Most often with one character dropped, doubled, replaced or a part repeated or cut off. */
  mutated(text) {
    const at = this.below(text.length);
    const [head, tail] = [text.slice(0, at), text.slice(at)];
    const character = String.fromCharCode(this.below(this.pick([128, 0x3000])));
    return this.pick([
      text,
      head,
      tail,
      head + tail.slice(1),
      head + tail[0] + tail,
      head + character + tail.slice(1),
      head + character + tail,
      head + text,
      text + ".",
      head + "\ud800" + tail,
    ]);
  }
}
