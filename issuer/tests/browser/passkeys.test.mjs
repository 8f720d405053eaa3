// Passkeys in a real browser against the real issuer: Chromium's virtual authenticator registers,
// signs in without a name, serves as second factor; a page of another origin gets nowhere.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startTollgate } from "../../../edge-verifier/test/support/tollgate.mjs";
import { openPage } from "../../../wasm-pkg/packaging-tests/support/chromium.mjs";

const PAGE = readFileSync(new URL("page.html", import.meta.url));
const SCRIPT = readFileSync(new URL("page.mjs", import.meta.url));

let issuer;
let right;
let wrong;

before(async () => {
  [right, wrong] = await Promise.all([servePage(), servePage()]);
  // Both may call the API: what refuses the wrong one is the passkey. Only the right one is on
  // the host that passkeys are bound to.
  wrong.origin = wrong.origin.replace("localhost", "127.0.0.1");
  issuer = await startTollgate({ CORS_ORIGINS: `${right.origin},${wrong.origin}` });
});
after(() => {
  issuer?.close();
  right?.close();
  wrong?.close();
});

test("a passkey is registered, signs in without a name, and only then", async (t) => {
  const { page, cdp, authenticatorId } = await open(t, right.origin);
  const { user, accessToken } = await signUp("ada");
  const registered = await call(page, "register", { accessToken, name: "Laptop" });
  assert.equal(registered.status, 201, JSON.stringify(registered.body));

  const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
  assert.equal(credentials.length, 1);
  assert.equal(credentials[0].isResidentCredential, true);
  assert.equal(credentials[0].rpId, "localhost");

  const signedIn = await call(page, "signIn", {});
  assert.equal(signedIn.status, 200, JSON.stringify(signedIn.body));
  assert.equal(signedIn.body.user.id, user.id);
  const validated = await issuer.post("/auth/validate", { body: { token: signedIn.body.accessToken } });
  assert.equal(validated.body.valid, true);

  // The authenticator that cannot verify its user signs nobody in.
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  const unverified = await call(page, "signIn", {});
  assert.equal(unverified.status, undefined, JSON.stringify(unverified));

  // An answer shown twice.
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  const replayed = await call(page, "signInTwice", {});
  assert.deepEqual([replayed.first, replayed.second, replayed.code], [200, 401, "invalid_credentials"]);
});

test("a passkey is the second factor after a password, and signs in again", async (t) => {
  const { page } = await open(t, right.origin);
  const { accessToken } = await signUp("bob");
  const begun = await issuer.post("/auth/two-factor/totp", { token: accessToken });
  const code = totp(begun.body.secret);
  const confirmed = await issuer.post("/auth/two-factor/totp/confirm", { token: accessToken, body: { code } });
  assert.equal(confirmed.body.recoveryCodes.length, 10);
  const registered = await call(page, "register", { accessToken, name: "Laptop" });
  assert.equal(registered.status, 201, JSON.stringify(registered.body));

  const asked = await issuer.login("bob");
  assert.deepEqual(asked.methods, ["totp", "recovery_code", "passkey"]);
  const finished = await call(page, "secondFactor", { challengeToken: asked.challengeToken });
  assert.equal(finished.status, 200, JSON.stringify(finished.body));
  assert.equal(finished.body.user.email, "bob@example.com");
  const again = await call(page, "reauthenticate", { accessToken: finished.body.accessToken });
  assert.equal(again.status, 200, JSON.stringify(again.body));
});

test("a page of a wrong origin registers nothing and signs nobody in", async (t) => {
  const here = await open(t, right.origin);
  const { accessToken } = await signUp("eve");
  const registered = await call(here.page, "register", { accessToken, name: "Laptop" });
  assert.equal(registered.status, 201, JSON.stringify(registered.body));
  const { credentials } = await here.cdp.send("WebAuthn.getCredentials", {
    authenticatorId: here.authenticatorId,
  });

  // The browser itself refuses a page that is not on the host of the passkeys.
  const elsewhere = await open(t, wrong.origin);
  for (const act of ["register", "signIn"]) {
    const refused = await call(elsewhere.page, act, { accessToken, name: "Stolen" });
    assert.equal(refused.error, "SecurityError", JSON.stringify(refused));
  }

  // A page on the right host and a port that is not listed: the browser lets it ask, so the
  // issuer must refuse. The credential is on its device, the question was relayed.
  const unlisted = await servePage();
  t.after(() => unlisted.close());
  const phishing = await open(t, unlisted.origin);
  for (const credential of credentials) {
    await phishing.cdp.send("WebAuthn.addCredential", {
      authenticatorId: phishing.authenticatorId,
      credential: { ...credential, signCount: 100 },
    });
  }
  const question = (await issuer.post("/auth/passkeys/sign-in/options")).body;
  const answer = await phishing.page.evaluate((asked) => globalThis.answer(asked), question);
  const refused = await issuer.post("/auth/passkeys/sign-in", { body: answer });
  assert.deepEqual([refused.status, refused.body.code], [401, "invalid_credentials"]);

  // The same from the listed page is accepted, so it was the origin.
  const fresh = (await issuer.post("/auth/passkeys/sign-in/options")).body;
  const honest = await here.page.evaluate((asked) => globalThis.answer(asked), fresh);
  assert.equal((await issuer.post("/auth/passkeys/sign-in", { body: honest })).status, 200);
});

test("in cookie mode the browser keeps the refresh token and no script reads it", async (t) => {
  const { page } = await open(t, right.origin);
  await signUp("dora");
  // Browsers take Secure cookies from localhost without TLS.
  const base = issuer.url.replace("127.0.0.1", "localhost");
  const seen = await page.evaluate((url) => globalThis.cookieMode(url), base);
  assert.deepEqual(seen.statuses, [200, 200, 200, 401]);
  assert.equal(seen.refreshToken, undefined);
  assert.equal(seen.readable, "");
});

async function signUp(name) {
  await issuer.register(name);
  return issuer.login(name);
}

/** A page with an authenticator of its own that holds discoverable credentials. */
async function open(t, origin) {
  const page = await openPage(t, origin, "/page.html");
  await page.waitForFunction(() => globalThis.ready === true);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return { page, cdp, authenticatorId };
}

function call(page, act, input) {
  return page.evaluate(([name, given]) => globalThis[name](given), [act, { url: issuer.url, ...input }]);
}

async function servePage() {
  const server = createServer((request, response) => {
    const script = request.url.endsWith(".mjs");
    response.writeHead(200, { "content-type": script ? "text/javascript" : "text/html" });
    response.end(script ? SCRIPT : PAGE);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://localhost:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** RFC 6238, for the present moment. */
function totp(secret) {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const code = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(code % 1_000_000).padStart(6, "0");
}
