// The installed package through the bundlers that people use, in a real browser and a real
// server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build as buildWithVite } from "vite";
import webpack from "webpack";
import { startTollgate, until } from "../../edge-verifier/test/support/tollgate.mjs";
import { openPage, serve } from "./support/chromium.mjs";
import { installBesideFrameworks } from "./support/installed.mjs";
import { lists } from "./support/lists.mjs";
import { startServer } from "./support/program.mjs";

const FIXTURE = fileURLToPath(new URL("fixtures/bundled/", import.meta.url));

/** The page in `folder`, and what its entries say to a token that is good. */
async function reportOf(t, folder) {
  const one = lists().tokens.find(({ expected }) => expected === "ok");
  const given = {
    options: { ...one.policy, jwks: JSON.parse(one.jwks) },
    token: one.token,
    now: one.now,
  };
  const page = await openPage(t, await serve(t, folder), "index.html");
  await page.waitForFunction(() => globalThis.verifyGiven !== undefined);
  const said = await page.evaluate((given) => globalThis.verifyGiven(given), given);
  const loaded = await page.evaluate(() =>
    performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname),
  );
  return { ...said, modulesLoaded: loaded.filter((name) => name.endsWith(".wasm")).length };
}

const EXPECTED = {
  client: "function",
  module: ["string", "bad_signature"],
  inline: ["string", "bad_signature"],
  webcrypto: ["string", "bad_signature"],
  modulesLoaded: 1,
};

function page(t) {
  const folder = installBesideFrameworks(t);
  cpSync(FIXTURE, folder, { recursive: true });
  return folder;
}

test("page built by Vite verifies in Chromium, of two modules loading one", async (t) => {
  const folder = page(t);
  await buildWithVite({
    root: folder,
    base: "./",
    logLevel: "warn",
    build: { assetsInlineLimit: 0 },
  });
  const assets = readdirSync(join(folder, "dist/assets"));
  assert.equal(assets.filter((name) => name.endsWith(".wasm")).length, 2);
  assert.deepEqual(await reportOf(t, join(folder, "dist")), EXPECTED);
});

test("page built by webpack verifies in Chromium, of two modules loading one", async (t) => {
  const folder = page(t);
  const output = join(folder, "dist");
  const compiler = webpack({
    mode: "production",
    context: folder,
    entry: "./main.mjs",
    output: { path: output, filename: "main.mjs", publicPath: "auto" },
  });
  const stats = await new Promise((resolve, reject) =>
    compiler.run((error, stats) => (error ? reject(error) : resolve(stats))),
  );
  assert.deepEqual(stats.toJson({ all: false, errors: true, warnings: true }).errors, []);
  assert.equal(readdirSync(output).filter((name) => name.endsWith(".wasm")).length, 2);
  cpSync(join(folder, "index.html"), join(output, "index.html"));
  assert.deepEqual(await reportOf(t, output), EXPECTED);
});

describe("Next", () => {
  const ended = [];
  let issuer;
  let url;

  before(async () => {
    issuer = await startTollgate();
    const context = { after: (act) => ended.push(act) };
    const folder = installBesideFrameworks(context, "next");
    const app = join(folder, "next");
    // Turbopack takes the folder of the lock file for the root; so it finds the package there.
    cpSync(join(folder, "node_modules"), join(app, "node_modules"), { recursive: true });
    const next = join(
      dirname(createRequire(import.meta.url).resolve("next/package.json")),
      "dist/bin/next",
    );
    const env = { NEXT_TELEMETRY_DISABLED: "1", TOLLGATE_URL: issuer.url };
    const options = {
      cwd: app,
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "inherit"],
    };
    execFileSync(process.execPath, [next, "build"], options);
    assert.ok(existsSync(join(app, ".next")));
    url = await startServer(context, app, [next, "start", "-H", "127.0.0.1"], env);
  });
  after(async () => {
    for (const act of ended.reverse()) await act();
    await issuer?.close();
  });

  const ask = async (method, path, token) => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(url + path, { method, headers });
    const isJson = response.headers.get("content-type")?.includes("json");
    return {
      response,
      status: response.status,
      body: isJson ? await response.json() : await response.text(),
    };
  };
  const signIn = async (name) => {
    await issuer.register(name);
    return issuer.login(name);
  };

  test("middleware refuses who has no good token, with a challenge", async () => {
    const { response, status, body } = await ask("GET", "/api/me");
    assert.deepEqual([status, body.code], [401, "missing_token"]);
    assert.equal(response.headers.get("www-authenticate"), 'Bearer realm="tollgate"');
    assert.equal((await ask("GET", "/api/me", "a.b.c")).body.code, "malformed");
    assert.equal((await ask("GET", "/api/no-such-route")).status, 401);
  });

  test("route handler and server component know the user", async () => {
    const { accessToken, user } = await signIn("known");
    assert.equal((await ask("GET", "/api/me", accessToken)).body.id, user.id);
    assert.match((await ask("GET", "/", accessToken)).body, new RegExp(`hello.*${user.id}`));
    assert.match((await ask("GET", "/")).body, /sign in:.*missing_token/);
  });

  test("route handler in the edge runtime knows the user, and refuses a token that is none", async () => {
    const { accessToken, user } = await signIn("edge");
    assert.equal((await ask("GET", "/api/edge", accessToken)).body.id, user.id);
    assert.equal((await ask("GET", "/api/edge", `${accessToken}A`)).status, 401);
  });

  test("route that costs is charged after success, and not after failure", async () => {
    const { accessToken } = await signIn("spends");
    const balance = async () => (await ask("GET", "/api/report", accessToken)).body;
    const before = await balance();
    assert.equal((await ask("POST", "/api/broken", accessToken)).status, 500);
    assert.deepEqual(await balance(), before);
    assert.deepEqual((await ask("POST", "/api/report", accessToken)).body, { report: "done" });
    const { balance: left, held, totalSpent } = await balance();
    assert.deepEqual([left, held, totalSpent], [before.balance - 10, 0, 10]);
  });

  test("token is refused soon after its session was ended", async () => {
    const { accessToken } = await signIn("leaves");
    assert.equal((await ask("GET", "/api/me", accessToken)).status, 200);
    await issuer.logout(accessToken);
    await until(
      async () => (await ask("GET", "/api/me", accessToken)).body.code === "revoked",
      5000,
    );
  });
});
