// What has bitten others, each with a test of what happens here; docs/edge.md has the list, and
// the last test of this file holds it to what there is.

import assert from "node:assert/strict";
import { createHmac, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { jws, signingKey } from "./support/issuer.mjs";
import { raw } from "./support/raw.mjs";
import { code, oneRoute, startWorld } from "./support/world.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const toml = (parts) => `${oneRoute(parts)}
  [[route]]
  id = "admin"
  path = "/admin/*"
  roles = ["admin"]
  backend = { url = "${parts.backend.url}", trust = "network" }`;

let world;
before(async () => {
  world = await startWorld(toml);
  assert.equal(await answered(world.issuer.token()), "200");
});
after(() => world.close());

const answered = async (token, path = "/api/x") => code(await world.call(path, { token }));
const fetches = () => world.issuer.fetched.jwks;
const received = () => world.backend.received.at(-1);
const values = (name) => received().headers.filter(([other]) => other === name).map(([, value]) => value);

/** A token of exactly this header and payload, well signed. */
function signed(header, payload, key = world.issuer.tokenKey) {
  const parts = [header, payload].map((part) => (typeof part === "string" ? part : JSON.stringify(part)));
  const text = parts.map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${text}.${sign(null, Buffer.from(text), key.privateKey).toString("base64url")}`;
}

const goodHeader = () => ({ alg: "EdDSA", typ: "at+jwt", kid: world.issuer.tokenKey.kid });

function goodClaims(changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: world.issuer.url, sub: "user-1", aud: "tollgate", exp: now + 900, iat: now };
  return { ...claims, jti: "jti-1", sid: "session-1", role: "user", ...changes };
}

/** envoy#36458, lua-resty-openidc#468: what names no possible key must not cause a look-up. */
test("key_id_of_another_form_is_refused_before_any_look_up", async () => {
  const before = fetches();
  for (const kid of ["a", "../jwks", "https://evil.example/jwks", "A".repeat(44), "é".repeat(43)]) {
    const token = signed({ ...goodHeader(), kid }, goodClaims());
    assert.match(await answered(token), /^401 /, kid);
  }
  assert.equal(fetches(), before);
});

/** giantswarm/mcp-oauth#452, supabase auth-js#1080: a key announced before it signs is there by then. */
test("standby_key_is_accepted_from_its_first_token_and_shown_in_the_status", async () => {
  const standby = signingKey(20);
  const prepare = (issuer) => void (issuer.published = [issuer.tokenKey.jwk, standby.jwk]);
  const other = await startWorld(oneRoute, { prepare });
  try {
    assert.equal(await code(await other.call("/api/x", { token: other.issuer.token() })), "200");
    const { jwks } = await other.gateway.status();
    assert.deepEqual(new Set(jwks.kids), new Set([other.issuer.tokenKey.kid, standby.kid]));
    assert.match(jwks.generation, /^[0-9a-f]{16}$/);
    const token = other.issuer.token({}, { key: standby });
    assert.equal(await code(await other.call("/api/x", { token })), "200");
    assert.equal(other.issuer.fetched.jwks, 1);
  } finally {
    await other.close();
  }
});

/** quack-oauth#15: the same key id with new material. */
test("key_id_over_other_material_is_dropped_and_a_bad_signature_fetches_nothing", async () => {
  const swapped = signingKey(21);
  const prepare = (issuer) =>
    void (issuer.published = [issuer.tokenKey.jwk, { ...swapped.jwk, kid: signingKey(22).kid }]);
  const other = await startWorld(oneRoute, { prepare });
  try {
    assert.equal(await code(await other.call("/api/x", { token: other.issuer.token() })), "200");
    const claimed = { header: { kid: signingKey(22).kid }, key: swapped };
    const token = other.issuer.token({}, claimed);
    assert.equal(await code(await other.call("/api/x", { token })), "401 unknown_key");
    const before = other.issuer.fetched.jwks;
    for (let n = 0; n < 20; n += 1) {
      const header = { kid: other.issuer.tokenKey.kid };
      const forged = other.issuer.token({}, { key: signingKey(23), header });
      assert.equal(await code(await other.call("/api/x", { token: forged })), "401 bad_signature");
    }
    assert.equal(other.issuer.fetched.jwks, before);
  } finally {
    await other.close();
  }
});

/** CVE-2025-64527 (Envoy): two tokens made the fetch of keys run into itself. */
test("two_tokens_in_a_cold_isolate_are_400_and_nothing_is_fetched", async () => {
  const other = await startWorld(oneRoute);
  try {
    const two = `Bearer ${other.issuer.token()}, Bearer ${other.issuer.token()}`;
    const response = await other.call("/api/x", { headers: { authorization: two } });
    assert.equal(await code(response), "400 multiple_tokens");
    assert.equal(other.issuer.fetched.jwks, 0);
  } finally {
    await other.close();
  }
});

/** CVE-2026-22817 (Hono), CVE-2026-33322 (MinIO), apisix#9809: the header chose the algorithm. */
test("algorithm_is_not_the_headers_to_choose", async () => {
  const { tokenKey } = world.issuer;
  for (const alg of ["HS256", "HS512"]) {
    for (const secret of [tokenKey.x, Buffer.from(tokenKey.x, "base64url"), JSON.stringify(tokenKey.jwk)]) {
      const text = [{ ...goodHeader(), alg }, goodClaims()]
        .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
        .join(".");
      const mac = createHmac(alg.replace("HS", "sha"), secret).update(text).digest("base64url");
      assert.match(await answered(`${text}.${mac}`), /^401 /, alg);
    }
  }
  for (const alg of ["none", "None", "", "RS256", "ES256", "PS512", null]) {
    const token = signed({ ...goodHeader(), alg }, goodClaims());
    assert.match(await answered(token), /^401 /, String(alg));
    assert.match(await answered(`${token.split(".").slice(0, 2).join(".")}.`), /^401 /, `${alg}, unsigned`);
  }
});

/** apisix CVE-2022-29266: the text of an error repeated the secret. */
test("refusals_repeat_nothing_of_the_token_and_of_no_library", async () => {
  const secret = "hunter2-and-more";
  const bodies = new Set();
  for (const token of [
    secret,
    `${secret}.${secret}.${secret}`,
    signed(`{"alg":"EdDSA","${secret}":`, goodClaims()),
    signed({ ...goodHeader(), typ: secret }, goodClaims()),
    signed(goodHeader(), goodClaims({ iss: secret })),
    signed(goodHeader(), `{"${secret}":`),
  ]) {
    const response = await world.call("/api/x", { token });
    assert.equal(response.status, 401);
    const text = await response.text();
    const said = text + JSON.stringify([...response.headers]);
    assert.doesNotMatch(said, new RegExp(`${secret}|line \\d|column|expected|serde|panicked`));
    bodies.add(JSON.parse(text).code);
  }
  assert.ok(bodies.size > 1, "each has its code");
  assert.doesNotMatch(JSON.stringify(world.gateway.logs), new RegExp(secret));
});

/** fast-jwt#590, python-jose#413, CVE-2025-59420: extensions that must be understood were ignored. */
test("critical_header_members_are_refused", async () => {
  for (const crit of [["exp"], ["b64"], ["unknown"], [], "exp", null]) {
    const token = signed({ ...goodHeader(), crit, b64: false }, goodClaims());
    assert.match(await answered(token), /^401 /, JSON.stringify(crit));
  }
});

/** qauth#283, Abblix#317: another kind of token of the same issuer was taken for an access token. */
test("type_is_read_in_every_spelling_and_other_types_are_refused", async () => {
  for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"]) {
    assert.equal(await answered(signed({ ...goodHeader(), typ }, goodClaims())), "200", typ);
  }
  for (const typ of ["JWT", "", undefined, "revocations+jwt", "edge-assertion+jwt", "logout+jwt", "id+jwt"]) {
    assert.match(await answered(signed({ ...goodHeader(), typ }, goodClaims())), /^401 /, String(typ));
  }
});

/** jwx#2234, ruby-jwt#713: two readers took two different values of one name. */
test("repeated_names_are_refused_in_header_and_claims", async () => {
  const header = JSON.stringify(goodHeader());
  const claims = JSON.stringify(goodClaims());
  const withMore = (text, more) => `${text.slice(0, -1)},${more}}`;
  for (const [head, payload] of [
    [withMore(header, '"alg":"EdDSA"'), claims],
    [withMore(header, '"\\u0061lg":"none"'), claims],
    [header, withMore(claims, '"sub":"root"')],
    [header, withMore(claims, '"s\\u0075b":"root"')],
    [header, withMore(claims, '"custom":1,"custom":2')],
  ]) {
    assert.match(await answered(signed(head, payload)), /^401 /, head + payload);
  }
});

/** vellum#33475, fast-jwt#606: a token respelt was the same token, and not the revoked one. */
test("respelt_token_is_refused_and_revocation_holds_for_what_is_left", async () => {
  const { issuer } = world;
  const token = issuer.token({ sid: "respelt" });
  assert.equal(await answered(token), "200");
  const bumped = token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1);
  const spellings = [`${token}=`, `${token}==`, `${token}.`, bumped, token.replace(".", ".."), `${token}%0a`];
  for (const spelling of spellings) assert.match(await answered(spelling), /^401 /, spelling.slice(-9));
  issuer.revoke({ sid: "respelt" });
  await until(async () => (await answered(token)) === "401 revoked");
  const again = issuer.token({ sid: "respelt", jti: "another" });
  assert.equal(await answered(again), "401 revoked", "another token of the session");
  for (const spelling of spellings) assert.match(await answered(spelling), /^401 /);
});

/** hasura#2109, jwt-go#226, ruby-jwt#353: clocks differ, in each of the three times. */
test("clock_that_is_off_by_less_than_half_a_minute_is_forgiven_in_all_three_times", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const [changes, wanted] of [
    [{ exp: now - 15 }, "200"],
    [{ iat: now + 15, exp: now + 900 }, "200"],
    [{ nbf: now + 15 }, "200"],
    [{ iat: now - 900, exp: now - 60 }, "401 expired"],
    [{ iat: now + 90, exp: now + 900 }, "401 issued_in_future"],
    [{ nbf: now + 90 }, "401 not_yet_valid"],
  ]) {
    const token = signed(goodHeader(), goodClaims({ iat: now - 100, ...changes }));
    assert.equal(await answered(token), wanted, JSON.stringify(changes));
  }
});

/** CVE-2025-30204, Authlib 1.6.3: long tokens were split and decoded before anyone asked how long. */
test("token_beyond_8_kib_is_refused_before_it_is_split", async () => {
  const before = fetches();
  for (const token of [
    ".".repeat(9000),
    "a".repeat(9000),
    signed(goodHeader(), goodClaims({ padding: "x".repeat(8000) })),
    jws(signingKey(24), { typ: "at+jwt", padding: "x".repeat(9000) }, goodClaims()),
  ]) {
    assert.equal(await answered(token), "401 too_large");
  }
  assert.equal(fetches(), before);
});

/** CVE-2025-48865 (Fabio): `Connection` made the proxy drop the header it had just set. */
test("connection_header_removes_nothing_that_the_edge_sets", async () => {
  const names = ["x-auth-user", "x-auth-session", "x-auth-role", "x-forwarded-proto", "x-forwarded-host"];
  const response = await raw(world.gateway.port, [
    "GET /api/x HTTP/1.1",
    "Host: edge.example",
    `Authorization: Bearer ${world.issuer.token()}`,
    "X-Of-The-Client: 1",
    `Connection: close, x-of-the-client, ${names.join(", ")}`,
  ]);
  assert.equal(response.status, 200);
  for (const name of names) assert.equal(values(name).length, 1, name);
  assert.deepEqual(values("x-of-the-client"), []);
});

/** CVE-2026-40575 (oauth2-proxy): a header of the client chose the rule. */
test("headers_that_name_another_path_or_method_choose_no_route", async () => {
  const headers = {
    "x-forwarded-uri": "/healthz",
    "x-original-uri": "/healthz",
    "x-original-url": "/api/x",
    "x-rewrite-url": "/api/x",
    "x-http-method-override": "GET",
    "x-forwarded-method": "OPTIONS",
    "x-forwarded-host": "elsewhere.example",
  };
  assert.equal(await code(await world.call("/api/x", { headers })), "401 missing_token");
  const token = world.issuer.token();
  assert.equal(await code(await world.call("/admin/x", { token, headers })), "403 insufficient_scope");
  assert.equal(await code(await world.call("/api/x", { token, headers, method: "DELETE" })), "405 method_not_allowed");
  assert.equal(await code(await world.call("/elsewhere", { token, headers })), "404 route_not_found");
});

/** kubernetes#47740, jupyter EP#119: a token in the query ends up in logs, and was accepted. */
test("token_in_the_query_is_not_looked_at", async () => {
  const token = world.issuer.token();
  for (const name of ["token", "access_token", "authorization", "jwt"]) {
    assert.equal(await answered(undefined, `/api/x?${name}=${token}`), "401 missing_token");
  }
});

/** zeroid#272: a gateway that spends a proof of possession takes it from the backend. */
test("proof_of_possession_reaches_the_backend_as_it_came", async () => {
  const proof = "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2ln";
  const token = world.issuer.token();
  assert.equal(await code(await world.call("/api/x", { token, headers: { dpop: proof } })), "200");
  assert.deepEqual(values("dpop"), [proof]);
});

test("list_in_the_docs_names_tests_that_exist", () => {
  const docs = readFileSync(join(ROOT, "docs/edge.md"), "utf8");
  const section = docs.split("## What has bitten others\n")[1].split("\n## ")[0];
  const rows = [...section.matchAll(/^\| (\d+) \|(.*)\|(.*)\|$/gm)];
  assert.deepEqual(rows.map(([, number]) => Number(number)), Array.from({ length: 33 }, (_, n) => n + 1));
  const texts = new Map();
  for (const [, number, , tests] of rows) {
    const named = [...tests.matchAll(/`([^`]+):([^`:]+)`/g)];
    if (named.length === 0) assert.match(tests, /^ no gateway's: /, `row ${number}`);
    for (const [, file, name] of named) {
      if (!texts.has(file)) texts.set(file, readFileSync(join(ROOT, file), "utf8"));
      const found = new RegExp(`(fn |["\`])${name}(\\(|["\`])`);
      assert.match(texts.get(file), found, `row ${number}`);
    }
  }
});

/** What the feed says comes with the next poll. */
async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
