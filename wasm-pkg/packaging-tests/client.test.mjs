// The auth client of the installed package: in tabs of a real browser, against the real issuer.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { startTollgate, until } from "../../edge-verifier/test/support/tollgate.mjs";
import { openPage, serve } from "./support/chromium.mjs";
import { install, installBesideFrameworks } from "./support/installed.mjs";
import { freePort } from "./support/program.mjs";

const PASSWORD = "correct horse battery";
let issuer;
let pagePort;

before(async () => {
  pagePort = await freePort();
  issuer = await startTollgate({ CORS_ORIGINS: `http://127.0.0.1:${pagePort}` });
});
after(() => issuer?.close());

/** So many tabs of one browser, in the first of which somebody has signed in. */
async function tabs(t, name, n, query = "") {
  await issuer.register(name);
  const folder = install(t, "client_page.html", "client_page.mjs");
  const origin = await serve(t, folder, pagePort);
  const path = `client_page.html?issuer=${encodeURIComponent(issuer.url)}${query}`;
  const first = await openPage(t, origin, path);
  const pages = [first];
  while (pages.length < n) {
    const page = await first.context().newPage();
    await page.goto(new URL(path, origin).href);
    pages.push(page);
  }
  for (const page of pages) await page.waitForFunction(() => globalThis.auth !== undefined);
  const person = { email: `${name}@example.com`, password: PASSWORD };
  await first.evaluate((person) => globalThis.auth.login(person), person);
  return pages;
}

const inAll = (pages, act) => Promise.all(pages.map((page) => page.evaluate(act)));
const whoAmI = (pages) => inAll(pages, () => globalThis.whoAmI());
const signedOut = async (pages) =>
  (await inAll(pages, () => globalThis.events))
    .flat()
    .filter((event) => event.startsWith("signedOut"));

for (const [locks, query] of [
  ["with Web Locks", ""],
  ["without them", "&without-locks"],
]) {
  test(`three tabs that refresh at once, ten times, stay signed in ${locks}`, async (t) => {
    const name = `tabs${query.length}`;
    const pages = await tabs(t, name, 3, query);
    for (let round = 0; round < 10; round += 1) {
      await inAll(pages, () => globalThis.auth.refresh());
    }
    const email = `${name}@example.com`;
    assert.deepEqual(await whoAmI(pages), [email, email, email]);
    assert.deepEqual(await signedOut(pages), []);
  });
}

test("answer that is lost, twice in a row, signs nobody out", async (t) => {
  const pages = await tabs(t, "lost", 2);
  let lost = 0;
  await pages[0].route("**/auth/refresh", async (route) => {
    if (lost === 2 || route.request().method() !== "POST") return route.continue();
    lost += 1;
    // The issuer has rotated the token; nobody hears of it.
    await route.fetch();
    return route.abort();
  });
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const error = await pages[0].evaluate(() =>
      globalThis.auth.refresh().catch(({ code }) => code),
    );
    assert.equal(error, "unavailable");
  }
  await inAll(pages, () => globalThis.auth.refresh());
  assert.equal(lost, 2);
  assert.deepEqual(await whoAmI(pages), ["lost@example.com", "lost@example.com"]);
  assert.deepEqual(await signedOut(pages), []);
});

test("signing in and out in one tab is known in the others", async (t) => {
  const pages = await tabs(t, "seen", 2);
  const heard = (event) => async () =>
    (await pages[1].evaluate(() => globalThis.events)).includes(event);
  await until(heard("signedIn"), 5000);
  assert.deepEqual(await pages[0].evaluate(() => globalThis.auth.logout()), { revoked: true });
  await until(heard("signedOut: elsewhere"), 5000);
  assert.equal(await pages[1].evaluate(() => globalThis.auth.accessToken()), null);
});

test("session that is ended elsewhere ends here at the next refresh, with its reason", async (t) => {
  const [page] = await tabs(t, "ended", 1);
  await issuer.logout(await page.evaluate(() => globalThis.auth.accessToken()));
  const code = await page.evaluate(() => globalThis.auth.refresh().catch(({ code }) => code));
  assert.equal(code, "session_revoked");
  assert.equal(await page.evaluate(() => globalThis.auth.session()), null);
  assert.deepEqual(await signedOut([page]), ["signedOut: session_revoked"]);
});

test("example signs in, asks, refreshes and signs out", async (t) => {
  const folder = installBesideFrameworks(t, "client.mjs", "settings.mjs");
  await issuer.register("example");
  const run = (...args) =>
    String(
      execFileSync(process.execPath, ["client.mjs", ...args], {
        cwd: folder,
        env: { ...process.env, TOLLGATE_URL: issuer.url },
      }),
    );
  assert.equal(
    run("example@example.com", PASSWORD),
    "signed in: example@example.com\nbalance: 150\nrefreshed\nsigned out: logout\n",
  );
  assert.equal(run("example@example.com", "wrong password"), "refused: invalid_credentials\n");
});
