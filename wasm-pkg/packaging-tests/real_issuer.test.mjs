// Tokens of the real issuer, verified by the installed package where it is used: accepted while
// the session lives, refused soon after it has ended.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { startTollgate } from "../../edge-verifier/test/support/tollgate.mjs";
import { openPage, serve } from "./support/chromium.mjs";
import { install, installBesideFrameworks } from "./support/installed.mjs";
import { freePort } from "./support/program.mjs";
import { startWorker } from "./support/workerd.mjs";

/** What is promised for a verifier in use, and what a loaded machine adds. */
const SOON_MS = 2000 + 1000;

let issuer;

/** The issuer has to know the page's origin before there is a page. */
let pagePort;

before(async () => {
  pagePort = await freePort();
  issuer = await startTollgate({ CORS_ORIGINS: `http://127.0.0.1:${pagePort}` });
});
after(() => issuer?.close());

const options = () => ({
  issuer: issuer.url,
  audience: "tollgate",
  jwksUri: `${issuer.url}/.well-known/jwks.json`,
  revocationsUri: `${issuer.url}/.well-known/revocations`,
});

async function signIn(name) {
  await issuer.register(name);
  return issuer.login(name);
}

for (const [program, format] of [
  ["node_esm.mjs", "import"],
  ["node_cjs.cjs", "require"],
]) {
  test(`Node by ${format} accepts a token and refuses it soon after logout`, async (t) => {
    const folder = install(t, program, "until_refused.mjs");
    const { accessToken, user } = await signIn(format);
    const child = spawn(process.execPath, [program, JSON.stringify(options()), accessToken], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const claims = JSON.parse((await lines.next()).value);
    assert.equal(claims.sub, user.id);
    assert.equal(claims.email, `${format}@example.com`);
    await issuer.logout(accessToken);
    const began = performance.now();
    assert.deepEqual(JSON.parse((await lines.next()).value), {
      code: "revoked",
      isVerifyError: true,
    });
    inTime(performance.now() - began);
    if (child.exitCode === null) await once(child, "exit");
    assert.equal(child.exitCode, 0);
  });
}

test("example of the README accepts a token, and refuses it after logout", async (t) => {
  const folder = install(t);
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, example] = readme.match(/```js\n(.*?)```/s);
  const program = example.replaceAll("http://127.0.0.1:3001", issuer.url);
  writeFileSync(join(folder, "verify.mjs"), program);
  const { accessToken, user } = await signIn("readme");
  const verify = () => execFileSync(process.execPath, ["verify.mjs", accessToken], { cwd: folder });
  assert.equal(`${verify()}`, `accepted: ${user.id}\n`);
  await issuer.logout(accessToken);
  const began = performance.now();
  let said = `${verify()}`;
  while (said.startsWith("accepted") && performance.now() - began < SOON_MS) said = `${verify()}`;
  assert.equal(said, "refused: revoked\n");
});

for (const example of ["node.mjs", "node.cjs", "inline.mjs", "init.mjs", "webcrypto.mjs"]) {
  test(`example ${example} accepts a token, and refuses it once its session was ended`, async (t) => {
    const folder = installBesideFrameworks(t, example, "settings.mjs");
    const { accessToken, user } = await signIn(`example-${example}`);
    const env = { ...process.env, TOLLGATE_URL: issuer.url };
    const verify = () =>
      `${execFileSync(process.execPath, [example, accessToken], { cwd: folder, env })}`;
    assert.equal(verify(), `accepted: ${user.id}\n`);
    await issuer.logout(accessToken);
    const began = performance.now();
    let said = verify();
    while (said.startsWith("accepted") && performance.now() - began < SOON_MS) said = verify();
    assert.equal(said, "refused: revoked\n");
  });
}

test("workerd accepts a token and refuses it soon after logout", async (t) => {
  const call = await startWorker(t, install(t, "worker.mjs"), "worker.mjs");
  const { accessToken: token, user } = await signIn("worker");
  const verify = async () =>
    (
      await call("/", { method: "POST", body: JSON.stringify({ options: options(), token }) })
    ).json();
  assert.equal((await verify()).sub, user.id);
  await issuer.logout(token);
  const began = performance.now();
  let answer = await verify();
  while (answer.code === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer = await verify();
  }
  assert.equal(answer.code, "revoked");
  inTime(performance.now() - began);
});

test("page in Chromium gets a token from the issuer, accepts it, and refuses it soon after logout", async (t) => {
  const folder = install(t, "page.html", "page.mjs", "until_refused.mjs");
  const origin = await serve(t, folder, pagePort);
  const page = await openPage(t, origin, `page.html?issuer=${encodeURIComponent(issuer.url)}`);
  await page.waitForFunction(() => globalThis.report !== undefined, undefined, { timeout: 30_000 });
  const { user, printed, tookMs } = await page.evaluate(() => globalThis.report);
  assert.equal(printed[0].sub, user.id);
  assert.deepEqual(printed[1], { code: "revoked", isVerifyError: true });
  inTime(tookMs);
});

function inTime(ms) {
  assert.ok(ms < SOON_MS, `${Math.round(ms)} ms`);
}
