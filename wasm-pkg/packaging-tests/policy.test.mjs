// Content security policies: what docs/npm.md says a page needs is enough, and without it the
// entries that need it say so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, serve } from "./support/chromium.mjs";
import { install } from "./support/installed.mjs";
import { lists } from "./support/lists.mjs";

for (const [what, scripts, expected] of [
  [
    "with 'wasm-unsafe-eval' every entry verifies",
    "'self' 'nonce-import-map' 'wasm-unsafe-eval'",
    { module: "ok", inline: "ok", webcrypto: "ok" },
  ],
  [
    "without it only the one by WebCrypto does, and the others answer that they cannot",
    "'self' 'nonce-import-map'",
    { module: "keys_unavailable", inline: "keys_unavailable", webcrypto: "ok" },
  ],
]) {
  test(`in a page ${what}`, async (t) => {
    const folder = install(t, "policy_page.html", "policy_page.mjs");
    const policy = `default-src 'none'; script-src ${scripts}; connect-src 'self'`;
    const page = await openPage(t, await serve(t, folder, 0, policy), "policy_page.html");
    await page.waitForFunction(() => globalThis.verifyGiven !== undefined);
    const one = lists().tokens.find(({ expected }) => expected === "ok");
    const options = { ...one.policy, jwks: JSON.parse(one.jwks) };
    const given = { options, token: one.token, now: one.now };
    assert.deepEqual(
      await page.evaluate((given) => globalThis.verifyGiven(given), given),
      expected,
    );
  });
}
