// The verifier of `./webcrypto` passes the tests of the one with a module, but for those of
// `verifySync` and of WebAssembly itself.

import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TEST_VERIFIER = "webcrypto";
for (const name of ["key_cache", "options", "revocations", "robustness", "verify"]) {
  await import(`./${name}.test.mjs`);
}
const { Issuer } = await import("./support/issuer.mjs");
const { codeOf, createVerifier } = await import("./support/verifier.mjs");

test("there is no verifySync to be called by mistake", async (t) => {
  const verifier = createVerifier((await Issuer.start(t)).options());
  assert.equal("verifySync" in verifier, false);
});

test("without WebCrypto no verifier is made", (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  t.after(() => Object.defineProperty(globalThis, "crypto", before));
  Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
  const options = { issuer: "a", audience: "b", jwksUri: "https://id.example.com/jwks" };
  assert.throws(() => createVerifier(options), { name: "TypeError", message: /https/ });
});

test("many tokens at once, more than verdicts are kept, are all judged", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createVerifier(issuer.options());
  const tokens = Array.from({ length: 600 }, (_, i) => issuer.token({ jti: `token-${i}` }));
  const forged = tokens.map((token) => `${token.slice(0, -86)}${"A".repeat(86)}`);
  const codes = await Promise.all(
    [...tokens, ...forged].map((token) => codeOf(verifier.verify(token))),
  );
  assert.deepEqual(new Set(codes.slice(0, 600)), new Set(["ok"]));
  assert.deepEqual(new Set(codes.slice(600)), new Set(["bad_signature"]));
});
