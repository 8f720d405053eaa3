// A backend that can be reached around the gateway: what is signed for it, and when nothing is.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createEdgeVerifier } from "../../wasm-pkg/js/entries/edge.mjs";
import { code, startWorld } from "./support/world.mjs";

const toml = ({ issuer, backend }) => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  [edge]
  iss = "https://edge.example"
  [[route]]
  id = "api"
  path = "/api/*"
  methods = ["GET", "POST"]
  backend = { url = "${backend.url}", name = "orders", strip_prefix = "/api" }
  [[route]]
  id = "open"
  path = "/open/*"
  auth = "none"
  reason = "nothing secret"
  backend = { url = "${backend.url}" }
  [[route]]
  id = "inside"
  path = "/inside/*"
  backend = { url = "${backend.url}", trust = "network" }`;

/** What the shipped tool prints for `wrangler secret put`. */
function newKey() {
  const tool = fileURLToPath(new URL("../tools/check.mjs", import.meta.url));
  const { stdout } = spawnSync(process.execPath, [tool, "key"], { encoding: "utf8" });
  return stdout.trim();
}

const secret = (value) => ({ env: { EDGE_SIGNING_KEY: { type: "text", value } } });
const [current, previous] = [newKey(), newKey()];

let world;
before(async () => {
  world = await startWorld(toml, { gateway: secret(`${current},${previous}`) });
});
after(() => world.close());

const received = () => world.backend.received.at(-1);
const header = (name) => received().headers.filter(([other]) => other === name).map(([, value]) => value);

/** The claims of the one assertion that arrived, its signature verified by the published keys. */
async function asserted() {
  const [jws, ...more] = header("x-edge-assertion");
  assert.deepEqual(more, []);
  const [head, payload, signature] = jws.split(".");
  const { alg, typ, kid } = JSON.parse(Buffer.from(head, "base64url"));
  assert.deepEqual([alg, typ], ["EdDSA", "edge-assertion+jwt"]);
  const { keys } = await (await world.call("/.well-known/edge-jwks.json")).json();
  assert.equal(keys.length, 2);
  const key = createPublicKey({ key: keys.find((key) => key.kid === kid), format: "jwk" });
  assert.ok(verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url")));
  return JSON.parse(Buffer.from(payload, "base64url"));
}

test("backend_gets_one_assertion_about_exactly_this_request", async () => {
  const token = world.issuer.token({ sub: "Zoë", role: "admin" });
  const response = await world.call("/api/a%20b?c=%2f&d='e'", {
    token,
    method: "POST",
    body: "x",
    headers: { "x-edge-assertion": "forged" },
  });
  assert.equal(response.status, 200);
  const { iat, exp, jti, ...claims } = await asserted();
  assert.deepEqual(claims, {
    iss: "https://edge.example",
    aud: "orders",
    sub: "Zoë",
    sid: "session-1",
    role: "admin",
    htm: "POST",
    htu: received().url,
  });
  assert.ok(received().url.startsWith("/a%20b?c=%2f&d="), received().url);
  assert.equal(exp - iat, 60);
  assert.ok(Math.abs(Date.now() / 1000 - iat) < 5);
  assert.deepEqual(header("x-request-id"), [jti]);
  assert.equal(response.headers.get("x-request-id"), jti);
});

test("public_route_is_asserted_without_a_user_and_a_trusted_network_not_at_all", async () => {
  assert.equal((await world.call("/open/x", { headers: { "x-auth-user": "root" } })).status, 200);
  const { sub, sid, htu, aud } = await asserted();
  assert.deepEqual([sub, sid, htu, aud], [undefined, undefined, "/open/x", world.backend.url]);
  await world.call("/inside/x", { token: world.issuer.token() });
  assert.deepEqual(header("x-edge-assertion"), []);
});

test("two_requests_have_two_assertions", async () => {
  const token = world.issuer.token();
  const seen = new Set();
  for (let n = 0; n < 20; n += 1) {
    await world.call("/api/x", { token });
    seen.add((await asserted()).jti);
  }
  assert.equal(seen.size, 20);
});

test("npm_package_of_a_backend_accepts_it_and_nothing_else", async () => {
  const edge = createEdgeVerifier({
    issuer: "https://edge.example",
    audience: "orders",
    jwksUri: `${world.gateway.url}/.well-known/edge-jwks.json`,
  });
  for (const path of ["/api/x", "/api/a%20b/?c=%2f&d='e'&", "/api/?"]) {
    await world.call(path, { token: world.issuer.token() });
    const { method, url } = received();
    const [jws] = header("x-edge-assertion");
    assert.equal((await edge.verify(jws, { method, url })).sub, "user-1", path);
    await assert.rejects(edge.verify(jws, { method, url: `${url}x` }), { code: "invalid_claim", claim: "htu" });
    await assert.rejects(edge.verify(jws, { method: "DELETE", url }), { code: "invalid_claim", claim: "htm" });
  }
  await assert.rejects(edge.verify(world.issuer.token(), { method: "GET", url: "/x" }), {
    code: "unsupported_type",
  });
});

for (const [name, given, remedy] of [
  ["missing", {}, /EDGE_SIGNING_KEY is missing/],
  ["malformed", secret("c2VjcmV0"), /EDGE_SIGNING_KEY is not one to three keys/],
]) {
  test(`${name}_key_closes_the_routes_that_need_it_and_no_others`, async () => {
    const broken = await startWorld(toml, { gateway: given });
    try {
      const token = broken.issuer.token();
      assert.equal(await code(await broken.call("/api/x", { token })), "500 internal");
      assert.equal(await code(await broken.call("/open/x")), "500 internal");
      assert.deepEqual(broken.backend.received, [], "never forwarded without one");
      assert.equal((await broken.call("/inside/x", { token })).status, 200);
      const status = await broken.call("/.well-known/edge/status");
      assert.equal(status.status, 500);
      const { problems } = await status.json();
      assert.match(problems[0], remedy);
      assert.doesNotMatch(problems[0], /c2VjcmV0/);
      assert.equal(await code(await broken.call("/.well-known/edge-jwks.json")), "404 route_not_found");
    } finally {
      await broken.close();
    }
  });
}
