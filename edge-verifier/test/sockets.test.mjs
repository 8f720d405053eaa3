// WebSockets: where their token may be, and when a socket is closed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closed } from "./support/backend.mjs";
import { raw } from "./support/raw.mjs";
import { eventually, startWorld } from "./support/world.mjs";

const CLOSED_WITHIN_MS = 3000;

const toml = ({ issuer, backend }) => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  [defaults]
  backend = { url = "${backend.url}", trust = "network" }
  [[route]]
  id = "chat"
  path = "/chat/*"
  token = "websocket"
  [[route]]
  id = "strict"
  path = "/strict/*"
  token = "websocket"
  revocation = { mode = "strict" }
  [[route]]
  id = "closed"
  path = "/closed/*"
  token = "websocket"
  revocation = { mode = "strict", on_stale = "closed" }
  [[route]]
  id = "cookie"
  path = "/cookie/*"
  token = "cookie:__Host-token"
  cors = { origins = ["https://app.example"], credentials = true }`;

let world;
before(async () => {
  world = await startWorld(toml);
});
after(() => world.close());

/** Opens a socket; `protocols` are what a page would offer. */
async function open(path, protocols) {
  const socket = new WebSocket(`ws://127.0.0.1:${world.gateway.port}${path}`, protocols);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no socket"));
  });
  return socket;
}

function echoed(socket, data) {
  const answer = new Promise((resolve) => (socket.onmessage = (event) => resolve(event.data)));
  socket.send(data);
  return answer;
}

/** How a socket ends: code, reason and after how many milliseconds. */
function ended(socket) {
  const beganAt = Date.now();
  return new Promise((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason, ms: Date.now() - beganAt });
  });
}

const offer = (changes) => ["chat", `bearer.${world.issuer.token(changes)}`];
const headers = (name) =>
  world.backend.received.at(-1).headers.filter(([other]) => other === name).map(([, value]) => value);

for (const path of ["/chat/x", "/strict/x"]) {
  test(`text_and_bytes_come_back_as_they_were_sent_on${path.replaceAll("/", "_")}`, async () => {
    const socket = await open(path, offer());
    assert.equal(socket.protocol, "chat", "the backend chose among what is left");
    assert.deepEqual(headers("sec-websocket-protocol"), ["chat"]);
    assert.deepEqual(headers("x-auth-user"), ["user-1"]);
    for (let n = 0; n < 50; n += 1) assert.equal(await echoed(socket, `message ${n} é`), `message ${n} é`);
    const bytes = new Uint8Array([0, 1, 254, 255]);
    assert.deepEqual(new Uint8Array(await echoed(socket, bytes)), bytes);
    assert.equal(await echoed(socket, ""), "");
    const end = ended(socket);
    socket.close(4000, "done");
    assert.equal((await end).code, 4000);
    assert.equal(await eventually(() => closed.pop()), 4000, "the backend learns why");
  });
}

test("tokens_in_two_places_are_400_and_a_bad_one_is_401", async () => {
  const upgrade = (...lines) =>
    raw(world.gateway.port, [
      "GET /chat/x HTTP/1.1",
      "Host: h",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ...lines,
    ]);
  const protocol = `bearer.${world.issuer.token()}`;
  const before = world.backend.received.length;
  for (const [lines, wanted] of [
    [[`Sec-WebSocket-Protocol: ${protocol}, ${protocol}`], "400 multiple_tokens"],
    [[`Sec-WebSocket-Protocol: ${protocol}`, `Sec-WebSocket-Protocol: ${protocol}`], "400 multiple_tokens"],
    [
      [`Sec-WebSocket-Protocol: ${protocol}`, `Authorization: Bearer ${world.issuer.token()}`],
      "400 multiple_tokens",
    ],
    [["Sec-WebSocket-Protocol: bearer.a.b.c"], "401 malformed"],
    [["Sec-WebSocket-Protocol: chat"], "401 missing_token"],
  ]) {
    const response = await upgrade(...lines);
    assert.equal(`${response.status} ${JSON.parse(response.body).code}`, wanted);
  }
  assert.equal(world.backend.received.length, before);
});

test("upgrade_with_a_cookie_needs_a_listed_page", async () => {
  const upgrade = (...lines) =>
    raw(world.gateway.port, [
      "GET /cookie/x HTTP/1.1",
      "Host: h",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      `Cookie: __Host-token=${world.issuer.token()}`,
      ...lines,
    ]);
  for (const lines of [[], ["Origin: null"], ["Origin: https://evil.example"]]) {
    assert.equal((await upgrade(...lines)).status, 403, lines[0]);
  }
});

test("strict_socket_is_closed_with_4401_when_its_session_is_revoked_and_others_stay", async () => {
  const doomed = await open("/strict/x", offer({ sid: "doomed" }));
  const other = await open("/strict/x", offer({ sid: "other" }));
  const bounded = await open("/chat/x", offer({ sid: "doomed" }));
  assert.equal(await echoed(doomed, "hello"), "hello");
  const end = ended(doomed);
  world.issuer.revoke({ sid: "doomed" });
  const { code, reason, ms } = await end;
  assert.deepEqual([code, reason], [4401, "revoked"]);
  assert.ok(ms <= CLOSED_WITHIN_MS, `${ms} ms`);
  console.log(`closed ${ms} ms after the revocation`);
  assert.equal(await eventually(() => closed.pop()), 4401, "the backend learns why");
  assert.equal(await echoed(other, "still here"), "still here");
  assert.equal(await echoed(bounded, "passed through"), "passed through");
  const line = await eventually(() =>
    world.gateway.logs.findLast(({ route, code }) => route === "strict" && code === "revoked"),
  );
  assert.equal(line.status, 401);
  other.close();
  bounded.close();
});

test("strict_socket_is_closed_with_4401_when_its_token_is_no_longer_accepted", async () => {
  const now = Math.floor(Date.now() / 1000);
  const socket = await open("/strict/x", offer({ iat: now - 900, exp: now - 27 }));
  assert.equal(await echoed(socket, "hello"), "hello");
  const { code, reason, ms } = await ended(socket);
  assert.deepEqual([code, reason], [4401, "expired"]);
  assert.ok(ms <= 3000 + CLOSED_WITHIN_MS, `${ms} ms`);
});

test("hundred_strict_sockets_cause_one_poll_a_second", async () => {
  const sockets = await Promise.all(Array.from({ length: 100 }, () => open("/strict/x", offer())));
  const before = world.issuer.fetched.feed;
  const beganAt = Date.now();
  while (Date.now() < beganAt + 4000) {
    const said = await Promise.all(sockets.map((socket, n) => echoed(socket, `${n}`)));
    assert.deepEqual(said, sockets.map((_, n) => `${n}`));
  }
  const polls = world.issuer.fetched.feed - before;
  assert.ok(polls >= 2 && polls <= 7, `${polls} polls in 4 s`);
  for (const socket of sockets) socket.close();
});

test("strict_socket_is_closed_with_1013_when_revocations_cannot_be_had", async () => {
  const socket = await open("/closed/x", offer());
  const end = ended(socket);
  world.issuer.feedMode = "500";
  try {
    const { code, reason } = await end;
    assert.deepEqual([code, reason], [1013, "unavailable"]);
  } finally {
    world.issuer.feedMode = "ok";
  }
});
