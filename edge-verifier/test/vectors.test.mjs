// The conformance list of access tokens through the gateway as a whole: a verdict at the
// front door must be the verifier's.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { startGateway } from "./support/gateway.mjs";
import { code } from "./support/world.mjs";

/** The gateway's leeway is fixed; the list also has cases for others. */
const LEEWAY_SECS = 30;

const list = JSON.parse(
  readFileSync(new URL("../../shared-claims/tests/vectors/tokens.json", import.meta.url), "utf8"),
);
const cases = list.filter((entry) => entry.policy.leeway === LEEWAY_SECS);
const groups = Map.groupBy(cases, ({ jwks, now, policy }) =>
  JSON.stringify([jwks, now, policy.issuer, policy.audience]),
);

test("list_is_there_and_most_of_it_applies", () => {
  assert.ok(cases.length >= 400, `${cases.length} of ${list.length} cases`);
});

for (const [key, entries] of groups) {
  const [jwks, now, issuer, audience] = JSON.parse(key);
  const title = entries.length === 1 ? entries[0].name : `${entries.length} tokens`;
  test(`verdicts of the gateway at ${now}: ${title}`, async () => {
    const keys = await startKeys(jwks);
    const backend = await startBackend();
    const gateway = await startGateway({
      toml: `
        [issuer]
        url = "${keys.url}"
        iss = "${issuer}"
        audience = "${audience}"
        [[route]]
        id = "all"
        path = "/*"
        backend = { url = "${backend.url}", trust = "network" }`,
      env: { NOW: { type: "text", value: String(now) } },
      probe: true,
    });
    try {
      for (const entry of entries) await judge(gateway, backend, entry);
    } finally {
      await gateway.close();
      await Promise.all([backend.close(), keys.close()]);
    }
  });
}

async function judge(gateway, backend, { name, token, expected }) {
  const before = backend.received.length;
  if (!canBeSent(token)) {
    assert.notEqual(expected, "ok", name);
    return;
  }
  const verdict = await code(await fetch(gateway.url, { headers: { authorization: `Bearer ${token}` } }));
  assert.ok(accepted(expected, token).includes(verdict), `${name}: ${verdict}, not ${expected}`);
  assert.equal(backend.received.length - before, expected === "ok" ? 1 : 0, name);
}

/** White space around a header's value is not part of it, and control characters end it. */
function canBeSent(token) {
  return /^[\x20-\x7e]*$/.test(token) && token.trim() === token;
}

/** What a gateway may say where a verifier says `expected`. */
function accepted(expected, token) {
  if (expected === "ok") return ["200"];
  const verdicts = [`401 ${expected}`];
  if (token.includes(",")) verdicts.push("400 multiple_tokens");
  // A key set without any usable key is no key set for a gateway, which keeps asking.
  if (expected === "unknown_key") verdicts.push("503 keys_unavailable");
  return verdicts;
}

/** An issuer that has nothing but this key set. */
async function startKeys(jwks) {
  const server = createServer((request, response) => {
    if (request.url === "/.well-known/jwks.json") response.end(jwks);
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
