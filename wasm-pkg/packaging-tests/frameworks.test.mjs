// Every integration in its real framework, against the real issuer: the examples, asked over
// HTTP.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTollgate, until } from "../../edge-verifier/test/support/tollgate.mjs";
import { installBesideFrameworks } from "./support/installed.mjs";
import { startServer } from "./support/program.mjs";

/** A settlement follows the answer. */
const SOON_MS = 5000;

let issuer;
before(async () => (issuer = await startTollgate()));
after(() => issuer?.close());

let people = 0;
async function signIn() {
  const name = `person${(people += 1)}`;
  await issuer.register(name);
  return { ...(await issuer.login(name)), email: `${name}@example.com` };
}

/** Puts the example's application on Nest's other platform. */
function onFastify(file) {
  const adapter = 'import { FastifyAdapter } from "@nestjs/platform-fastify";\n';
  const text = readFileSync(file, "utf8");
  const changed = text.replace("create(AppModule, ", "create(AppModule, new FastifyAdapter(), ");
  assert.notEqual(changed, text);
  writeFileSync(file, adapter + changed);
}

for (const [framework, has] of [
  ["express", { optional: true, charge: true, roles: true, health: true }],
  ["fastify", { optional: true, charge: true, roles: true, health: true }],
  ["hono", { optional: true, charge: true, roles: true, health: true }],
  ["nestjs", { optional: false, charge: true, roles: true, health: true }],
  ["nestjs on fastify", { optional: false, charge: true, roles: true, health: true }],
  ["backend", { optional: false, charge: false, roles: false, health: false }],
]) {
  describe(framework, () => {
    let url;
    const ended = [];
    before(async () => {
      const context = { after: (act) => ended.push(act) };
      const [example] = framework.split(" ");
      const folder = installBesideFrameworks(context, `${example}.mjs`, "settings.mjs");
      if (framework === "nestjs on fastify") onFastify(join(folder, "nestjs.mjs"));
      url = await startServer(context, folder, [`${example}.mjs`], { TOLLGATE_URL: issuer.url });
    });
    after(async () => {
      for (const act of ended.reverse()) await act();
    });

    async function ask(method, path, token, headers = {}) {
      const authorization = token ? { authorization: `Bearer ${token}` } : {};
      const response = await fetch(url + path, {
        method,
        headers: { ...authorization, ...headers },
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.includes("json");
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? JSON.parse(text) : text,
      };
    }
    const balanceOf = async (token) => (await ask("GET", "/balance", token)).body;

    test("without a token the answer is 401 with a challenge and no error", async () => {
      const { status, headers, body } = await ask("GET", "/me");
      assert.equal(status, 401);
      assert.equal(headers.get("www-authenticate"), 'Bearer realm="tollgate"');
      assert.match(headers.get("content-type"), /^application\/problem\+json/);
      assert.equal(body.code, "missing_token");
      assert.equal(body.status, 401);
    });

    test("token that is none is refused with the verifier's code", async () => {
      const { status, headers, body } = await ask("GET", "/me", "a.b.c");
      assert.equal(status, 401);
      assert.equal(
        headers.get("www-authenticate"),
        'Bearer realm="tollgate", error="invalid_token"',
      );
      assert.equal(body.code, "malformed");
    });

    test("two tokens are refused", async () => {
      const { accessToken } = await signIn();
      const headers = { authorization: `Bearer ${accessToken}, Bearer ${accessToken}` };
      const { status, body } = await ask("GET", "/me", null, headers);
      assert.deepEqual([status, body.code], [400, "multiple_tokens"]);
    });

    test("with a good token the route knows the user, without an address nobody has proven", async () => {
      const { accessToken, user } = await signIn();
      const { status, body } = await ask("GET", "/me", accessToken);
      assert.equal(status, 200);
      assert.equal(body.id, user.id);
      assert.equal(body.role, "user");
      assert.equal(body.email, undefined);
    });

    test("token is refused soon after its session was ended", async () => {
      const { accessToken } = await signIn();
      assert.equal((await ask("GET", "/me", accessToken)).status, 200);
      await issuer.logout(accessToken);
      let last;
      await until(
        async () => (last = await ask("GET", "/me", accessToken)).status === 401,
        SOON_MS,
      );
      assert.equal(last.body.code, "revoked");
    });

    test("credits are spent in a route, and the issuer's refusal is passed on", async () => {
      const { accessToken } = await signIn();
      const before = await balanceOf(accessToken);
      const { status, body } = await ask("POST", "/spend", accessToken);
      assert.equal(Math.floor(status / 100), 2);
      assert.equal(body.balance, before.balance - 3);
      assert.equal((await balanceOf(accessToken)).totalSpent, 3);
    });

    if (has.health) {
      test("public route needs no token", async () => {
        assert.equal((await ask("GET", "/health")).body, "ok");
      });
    }

    if (has.roles) {
      test("role that may not is refused with 403", async () => {
        const { accessToken } = await signIn();
        const { status, headers, body } = await ask("GET", "/admin", accessToken);
        assert.deepEqual([status, body.code], [403, "insufficient_scope"]);
        assert.match(headers.get("www-authenticate"), /error="insufficient_scope"/);
      });
    }

    if (has.optional) {
      test("route for everybody knows who is asking, and refuses a bad token all the same", async () => {
        const { accessToken, user } = await signIn();
        assert.deepEqual((await ask("GET", "/maybe")).body, { user: null });
        assert.equal((await ask("GET", "/maybe", accessToken)).body.user.id, user.id);
        assert.equal((await ask("GET", "/maybe", "a.b.c")).status, 401);
      });
    }

    if (has.charge) {
      test("route that costs is charged after success", async () => {
        const { accessToken } = await signIn();
        const before = await balanceOf(accessToken);
        const { status, body } = await ask("POST", "/report", accessToken);
        assert.equal(Math.floor(status / 100), 2);
        assert.deepEqual(body, { report: "done" });
        await until(async () => (await balanceOf(accessToken)).totalSpent === 10, SOON_MS);
        const { balance, held } = await balanceOf(accessToken);
        assert.deepEqual([balance, held], [before.balance - 10, 0]);
      });

      test("route that fails gives the credits back", async () => {
        const { accessToken } = await signIn();
        const before = await balanceOf(accessToken);
        assert.equal((await ask("POST", "/broken", accessToken)).status, 500);
        await until(async () => (await balanceOf(accessToken)).held === 0, SOON_MS);
        assert.deepEqual(await balanceOf(accessToken), before);
      });

      test("route that costs more than there is does not run", async () => {
        const { accessToken } = await signIn();
        const { status, body } = await ask("POST", "/dear", accessToken);
        assert.deepEqual([status, body.code], [402, "insufficient_credits"]);
        assert.equal(body.balance, (await balanceOf(accessToken)).balance);
      });

      test("route that costs refuses whoever does not say who they are", async () => {
        assert.equal((await ask("POST", "/report")).status, 401);
      });
    }
  });
}

test("service settles the hold of a user whose session has ended meanwhile", async () => {
  const made = [
    issuer.run("app", "create", "services", "--name", "Services", "--json"),
    issuer.run("service-token", "create", "--name", "reports", "--app", "services", "--json"),
  ];
  assert.deepEqual(
    made.map(({ status, stderr }) => [status, status === 0 ? "" : stderr]),
    [
      [0, ""],
      [0, ""],
    ],
  );
  const { secret } = JSON.parse(made[1].stdout);
  const folder = installBesideFrameworks({ after });
  const { createGuard, fromWeb } = await import(
    join(folder, "node_modules/@tollgate/verifier/dist/backend.mjs")
  );
  const { accessToken } = await signIn();
  const guard = createGuard({
    // Only the issuer's word counts here.
    verifier: { verify: async () => ({ sub: "user", sid: "session" }) },
    credits: { baseUrl: issuer.url, appId: "services", serviceToken: secret },
  });
  const headers = { authorization: `Bearer ${accessToken}` };
  const { credits } = await guard.authenticate(
    fromWeb(new Request("http://a.example", { headers })),
  );
  const hold = await credits.hold({ amount: 20, description: "A long calculation" });
  await issuer.logout(accessToken);
  const { hold: captured } = await hold.capture({ amount: 15, final: true });
  assert.deepEqual([captured.status, captured.captured], ["captured", 15]);
  await assert.rejects(credits.balance(), { code: "session_revoked", status: 401 });
});
