import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import {
  AuthError,
  cookieStorage,
  createAuthClient,
  memoryStorage,
} from "../js/entries/client.mjs";

const ADA = {
  id: "user-1",
  email: "ada@example.com",
  name: null,
  role: "user",
  emailVerified: false,
};

/**
 * An issuer as far as clients see it: one session, whose refresh token rotates. `instead` takes
 * the place of an answer.
 */
class FakeIssuer {
  counter = 1;
  expiresIn = 900;
  requests = [];
  instead = {};

  static async start(t) {
    const issuer = new FakeIssuer();
    const server = createServer((request, response) => issuer.#answer(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    issuer.url = `http://127.0.0.1:${server.address().port}`;
    return issuer;
  }

  client(more = {}) {
    return createAuthClient({ baseUrl: this.url, ...more });
  }

  /** A client with ada signed in. */
  async signedIn(more) {
    const client = this.client(more);
    await client.login({ email: ADA.email, password: "correct horse battery" });
    return client;
  }

  count(path) {
    return this.requests.filter((request) => request.path === path).length;
  }

  tokens() {
    const { counter, expiresIn } = this;
    return {
      accessToken: `access-${counter}`,
      refreshToken: `refresh-${counter}`,
      expiresIn,
      tokenType: "Bearer",
    };
  }

  async #answer(request, response) {
    const path = request.url.replace("/api/v1/auth", "");
    const text = String(Buffer.concat(await request.toArray()));
    const asked = {
      path,
      method: request.method,
      headers: request.headers,
      body: text && JSON.parse(text),
    };
    this.requests.push(asked);
    const say = (status, body, headers = {}) =>
      response
        .writeHead(status, { "content-type": "application/json", ...headers })
        .end(JSON.stringify(body));
    await (this.instead[path] ?? this.#answers[path] ?? this.#protected)(say, asked, response);
  }

  #answers = {
    "/register": (say) => say(201, { user: ADA }),
    "/login": (say) => say(200, { user: ADA, ...this.tokens() }),
    "/logout": (say) => say(200, { success: true }),
    "/refresh": (say, { body }) => {
      if (body.refreshToken === `refresh-${this.counter}`) this.counter += 1;
      say(200, this.tokens());
    },
  };

  /** Anything else wants the present access token. */
  #protected = (say, { headers, body }) => {
    const good = headers.authorization === `Bearer access-${this.counter}`;
    say(good ? 200 : 401, { authorization: headers.authorization ?? null, body });
  };
}

const problem = (status, code) => (say) => say(status, { code, title: code, status, detail: code });
const cutOff = (say, asked, response) => response.destroy();

test("register and login tell who it is, and a session is kept", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = issuer.client();
  assert.equal(await client.session(), null);
  assert.equal(await client.accessToken(), null);
  const person = { email: ADA.email, password: "correct horse battery" };
  assert.deepEqual((await client.register(person)).user, ADA);
  assert.deepEqual(await client.login(person), { twoFactorRequired: false, user: ADA });
  assert.deepEqual((await client.session()).user, ADA);
  assert.equal(await client.accessToken(), "access-1");
});

test("refused login is an error with the issuer's code, and nobody is signed in", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = issuer.client();
  issuer.instead["/login"] = problem(401, "invalid_credentials");
  await assert.rejects(client.login({}), {
    name: "AuthError",
    code: "invalid_credentials",
    status: 401,
  });
  issuer.instead["/login"] = (say) => say(429, { code: "rate_limited" }, { "retry-after": "7" });
  await assert.rejects(client.login({}), { code: "rate_limited", retryAfter: 7 });
  assert.equal(await client.session(), null);
});

test("second factor comes between, and nobody is signed in before it", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = issuer.client();
  const challenge = { twoFactorRequired: true, challengeToken: "tgc_1", methods: ["totp"] };
  issuer.instead["/login"] = (say) => say(200, challenge);
  issuer.instead["/login/second-factor"] = (say) => say(200, { user: ADA, ...issuer.tokens() });
  assert.deepEqual(await client.login({}), challenge);
  assert.equal(await client.session(), null);
  await client.finishLogin({ challengeToken: "tgc_1", code: "123456" });
  assert.equal((await client.session()).user.id, ADA.id);
});

test("twenty requests at once with an old access token make one refresh", async (t) => {
  const issuer = await FakeIssuer.start(t);
  issuer.expiresIn = 10;
  const client = await issuer.signedIn();
  issuer.expiresIn = 900;
  const tokens = await Promise.all(Array.from({ length: 20 }, () => client.accessToken()));
  assert.deepEqual(new Set(tokens), new Set(["access-2"]));
  assert.equal(issuer.count("/refresh"), 1);
});

test("fetch sends the token, refreshes once after a 401, and repeats the request with its body", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = await issuer.signedIn();
  issuer.counter = 2;
  const response = await client.fetch(`${issuer.url}/orders`, { method: "POST", body: '{"n":1}' });
  assert.deepEqual(await response.json(), { authorization: "Bearer access-2", body: { n: 1 } });
  assert.equal(issuer.count("/orders"), 2);
  assert.equal(issuer.count("/refresh"), 1);
});

test("fetch that is refused twice gives the refusal, and does not try for ever", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = await issuer.signedIn();
  issuer.instead["/orders"] = problem(401, "wrong_audience");
  const response = await client.fetch(`${issuer.url}/orders`);
  assert.equal(response.status, 401);
  assert.equal((await response.json()).code, "wrong_audience");
  assert.equal(issuer.count("/orders"), 2);
});

test("fetch without anybody signed in goes out without a token", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const response = await issuer.client().fetch(`${issuer.url}/orders`);
  assert.equal(response.status, 401);
  assert.equal((await response.json()).authorization, null);
  assert.equal(issuer.count("/orders"), 1);
});

test("token goes to the issuer and to listed origins, and nowhere else", async (t) => {
  const [issuer, api] = [await FakeIssuer.start(t), await FakeIssuer.start(t)];
  const wary = await issuer.signedIn();
  await assert.rejects(wary.fetch(`${api.url}/orders`), { name: "TypeError", message: /origins/ });
  assert.equal(api.requests.length, 0);
  const client = await issuer.signedIn({ origins: [api.url] });
  assert.equal((await client.fetch(`${api.url}/orders`)).status, 200);
});

test("lost answer to a refresh signs nobody out, and the next request tries again", async (t) => {
  const issuer = await FakeIssuer.start(t);
  issuer.expiresIn = 10;
  const client = await issuer.signedIn();
  const events = [];
  client.on("signedOut", () => events.push("signedOut"));
  client.on("refreshFailed", ({ error }) => events.push(error.code));
  issuer.instead["/refresh"] = cutOff;
  // It is still good for ten seconds.
  assert.equal(await client.accessToken(), "access-1");
  assert.deepEqual(events, ["unavailable"]);
  assert.equal((await client.session()).user.id, ADA.id);
  delete issuer.instead["/refresh"];
  assert.equal(await client.accessToken(), "access-2");
});

for (const [what, answer] of [
  ["network fails", cutOff],
  ["issuer is overloaded", problem(503, "unavailable")],
  ["issuer asks for patience", problem(429, "rate_limited")],
  ["issuer fails", problem(500, "internal")],
  ["something else answers", (say) => say(502, "<html>")],
  ["something else claims 401", (say) => say(401, { error: "nope" })],
  ["issuer does not know the token", problem(401, "invalid_refresh_token")],
]) {
  test(`credentials stay when a refresh does not succeed because ${what}`, async (t) => {
    const issuer = await FakeIssuer.start(t);
    issuer.expiresIn = -1;
    const storage = memoryStorage();
    const client = await issuer.signedIn({ storage });
    const kept = storage.getItem("tollgate");
    issuer.instead["/refresh"] = answer;
    await assert.rejects(client.accessToken(), AuthError);
    await assert.rejects(client.refresh(), AuthError);
    assert.equal(storage.getItem("tollgate"), kept);
  });
}

for (const code of ["session_revoked", "refresh_token_reused"]) {
  test(`${code} ends the session here, with an event`, async (t) => {
    const issuer = await FakeIssuer.start(t);
    issuer.expiresIn = 10;
    const storage = memoryStorage();
    const client = await issuer.signedIn({ storage });
    const events = [];
    client.on("signedOut", (event) => events.push(event));
    issuer.instead["/refresh"] = problem(401, code);
    assert.equal(await client.accessToken(), null);
    assert.equal(await client.session(), null);
    assert.equal(storage.getItem("tollgate"), null);
    assert.deepEqual(events, [{ user: ADA, reason: code }]);
  });
}

test("losing refresh takes what the winner has stored, and deletes nothing", async (t) => {
  const issuer = await FakeIssuer.start(t);
  issuer.expiresIn = 10;
  const storage = memoryStorage();
  const client = await issuer.signedIn({ storage });
  const winners = {
    ...JSON.parse(storage.getItem("tollgate")),
    refreshToken: "refresh-9",
    accessToken: "access-9",
  };
  issuer.instead["/refresh"] = (say) => {
    storage.setItem("tollgate", JSON.stringify(winners));
    problem(401, "refresh_token_reused")(say);
  };
  assert.equal(await client.accessToken(), "access-9");
  assert.deepEqual(JSON.parse(storage.getItem("tollgate")), winners);
});

test("who signs out while a refresh is under way stays signed out", async (t) => {
  const issuer = await FakeIssuer.start(t);
  issuer.expiresIn = -1;
  const client = await issuer.signedIn();
  const asked = new Promise((resolve) => {
    issuer.instead["/refresh"] = (say) => resolve(() => say(200, issuer.tokens()));
  });
  const refreshed = client.accessToken();
  const answer = await asked;
  await client.logout();
  answer();
  assert.equal(await refreshed, null);
  assert.equal(await client.session(), null);
});

test("two clients of one storage share the session: what one has refreshed the other uses", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const storage = memoryStorage();
  const first = await issuer.signedIn({ storage });
  const second = issuer.client({ storage });
  await first.refresh();
  assert.equal(await second.accessToken(), "access-2");
  const response = await second.fetch(`${issuer.url}/orders`);
  assert.equal(response.status, 200);
  assert.equal(issuer.count("/refresh"), 1);
});

test("logout ends the session at the issuer, and here even when that cannot be reached", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = await issuer.signedIn();
  assert.deepEqual(await client.logout(), { revoked: true });
  assert.deepEqual(issuer.requests.at(-1).body, { refreshToken: "refresh-1" });
  assert.deepEqual(await client.logout(), { revoked: false });
  const other = await issuer.signedIn();
  issuer.instead["/logout"] = cutOff;
  assert.deepEqual(await other.logout(), { revoked: false });
  assert.equal(await other.session(), null);
});

test("events are told in order, and a listener can leave", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const client = issuer.client();
  const told = [];
  const stop = ["signedIn", "refreshed", "signedOut"].map((name) =>
    client.on(name, () => told.push(name)),
  );
  await client.login({});
  await client.refresh();
  stop[2]();
  await client.logout();
  assert.deepEqual(told, ["signedIn", "refreshed"]);
});

test("storage with promises does, and what is in it need not be ours", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const memory = memoryStorage();
  const storage = {
    getItem: async (key) => memory.getItem(key),
    setItem: async (key, value) => memory.setItem(key, value),
    removeItem: async (key) => memory.removeItem(key),
  };
  const client = await issuer.signedIn({ storage, key: "mine" });
  assert.equal(await issuer.client({ storage, key: "mine" }).accessToken(), "access-1");
  for (const garbage of ["", "null", "{", '{"v":2}', '{"v":1}', "[]"]) {
    memory.setItem("mine", garbage);
    assert.equal(await client.session(), null, garbage);
  }
});

test("cookies of a server hold the session, out of reach of scripts and of other hosts", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const set = [];
  const jar = new Map();
  const storage = cookieStorage({
    get: (name) => (jar.has(name) ? { value: jar.get(name) } : undefined),
    set(name, value, attributes) {
      set.push({ name, attributes });
      if (attributes.maxAge > 0) jar.set(name, value);
      else jar.delete(name);
    },
  });
  const client = await issuer.signedIn({ storage });
  assert.equal(await issuer.client({ storage }).accessToken(), "access-1");
  await client.logout();
  assert.equal(await client.session(), null);
  const strict = { path: "/", httpOnly: true, secure: true, sameSite: "lax" };
  assert.deepEqual(set, [
    { name: "__Host-tollgate", attributes: { ...strict, maxAge: 604_800 } },
    { name: "__Host-tollgate", attributes: { ...strict, maxAge: 0 } },
  ]);
});

test("functions work apart from their client", async (t) => {
  const issuer = await FakeIssuer.start(t);
  const { login, accessToken } = issuer.client();
  await login({});
  assert.equal(await accessToken(), "access-1");
});

test("options out of range are a TypeError that says what to do", () => {
  for (const [options, says] of [
    [{}, /baseUrl/],
    [{ baseUrl: "id" }, /baseUrl/],
    [{ baseUrl: "http://id.example.com" }, /https/],
    [{ baseUrl: "https://id.example.com", storage: {} }, /getItem/],
  ]) {
    assert.throws(() => createAuthClient(options), { name: "TypeError", message: says });
  }
});
