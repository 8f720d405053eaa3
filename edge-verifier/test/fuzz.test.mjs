// Thousands of hostile requests through the runtime: whatever headers and paths come, the backend
// learns nothing about the caller but from the gateway, gets the path that was matched, and nothing
// breaks. `EDGE_FUZZ_SEED` repeats a run, `EDGE_FUZZ_CASES` makes it longer.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startGateway } from "./support/gateway.mjs";
import { startIssuer } from "./support/issuer.mjs";
import { Wire } from "./support/wire.mjs";

const CASES = Number(process.env.EDGE_FUZZ_CASES ?? 10_000);
const SEED = Number(process.env.EDGE_FUZZ_SEED ?? 20_261_121);
/** Connections at a time: enough to keep two cores busy. */
const WIRES = 8;

/** Each route has a base path of its own at the backend, which tells them apart. */
const ROUTES = {
  "/r-api": { prefix: "/api/", identity: "always" },
  "/r-public": { prefix: "/public/", identity: "never" },
  "/r-maybe": { prefix: "/maybe/", identity: "sometimes" },
  "/r-cookie": { prefix: "/cookie/", identity: "always" },
  "/r-admin": { prefix: "/api/admin/", identity: "refused" },
};

const METHODS = '["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]';

const toml = (issuer, backend) => `
  [issuer]
  url = "${issuer}"
  audience = "tollgate"
  [defaults]
  methods = ${METHODS}
  [[route]]
  id = "api"
  path = "/api/*"
  backend = { url = "${backend}/r-api", name = "b" }
  [[route]]
  id = "public"
  path = "/public/*"
  auth = "none"
  reason = "nothing secret"
  backend = { url = "${backend}/r-public", name = "b" }
  [[route]]
  id = "maybe"
  path = "/maybe/*"
  auth = "optional"
  backend = { url = "${backend}/r-maybe", trust = "network" }
  [[route]]
  id = "cookie"
  path = "/cookie/*"
  token = "cookie:__Host-token"
  cors = { origins = ["https://app.example"], credentials = true }
  backend = { url = "${backend}/r-cookie", trust = "network" }
  [[route]]
  id = "admin"
  path = "/api/admin/*"
  roles = ["admin"]
  backend = { url = "${backend}/r-admin", trust = "network" }`;

let issuer, backend, gateway, token;
before(async () => {
  issuer = await startIssuer();
  backend = createServer((request, response) => {
    const seen = { url: request.url, method: request.method, headers: request.rawHeaders };
    request.resume();
    response.writeHead(200, { echo: Buffer.from(JSON.stringify(seen)).toString("base64url") }).end();
  });
  await new Promise((resolve) => backend.listen(0, "127.0.0.1", resolve));
  const value = Buffer.alloc(32, 7).toString("base64url");
  gateway = await startGateway({
    toml: toml(issuer.url, `http://127.0.0.1:${backend.address().port}`),
    env: { EDGE_SIGNING_KEY: { type: "text", value } },
  });
  token = issuer.token({ role: undefined, email: undefined });
});
after(async () => {
  await gateway.close();
  backend.closeAllConnections();
  backend.close();
  await issuer.close();
});

test("no_identity_of_a_client_arrives_no_path_changes_and_nothing_breaks", async () => {
  const tally = new Map();
  let next = 0;
  async function work() {
    const wire = new Wire(gateway.port);
    while (next < CASES) {
      const number = next++;
      const sent = generate(new Random(SEED + number));
      try {
        const { status, headers } = await wire.ask(sent.bytes, sent.method !== "HEAD");
        tally.set(status, (tally.get(status) ?? 0) + 1);
        check(sent, status, headers.get("echo"));
      } catch (error) {
        throw new Error(`case ${number} of seed ${SEED}: ${error.message}\n${sent.bytes}`, { cause: error });
      }
    }
    wire.close();
  }
  await Promise.all(Array.from({ length: WIRES }, work));
  const counts = [...tally].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  console.log(`${CASES} cases of seed ${SEED}: ${counts.join(", ")}`);
  assert.ok(tally.get(200) > CASES / 5, "enough got through to say something");
  assert.ok(tally.get(400) > CASES / 10 && tally.get(401) > 0 && tally.get(403) > 0 && tally.get(404) > 0);
});

function check({ target, method }, status, echo) {
  assert.ok(status < 500, `status ${status}`);
  if (echo === undefined) return;
  const seen = JSON.parse(Buffer.from(echo, "base64url"));
  assert.equal(seen.method, method);
  const [base] = seen.url.match(/^\/r-[a-z]+/);
  const { prefix, identity } = ROUTES[base];
  assert.notEqual(identity, "refused", "nobody here is an admin");
  // What the runtime's own URL parser makes of a target is what it was matched by.
  const parsed = new URL(`http://h${Buffer.from(target, "latin1")}`);
  parsed.hash = "";
  assert.equal(seen.url.slice(base.length), parsed.href.slice("http://h".length));
  const { pathname } = parsed;
  const decoded = decodeURIComponent(pathname);
  assert.ok(decoded.startsWith(prefix), `${decoded} on ${base}`);
  assert.ok(base === "/r-admin" || !decoded.startsWith("/api/admin/"), decoded);
  assert.doesNotMatch(decoded, /\/\/|\\|;|%|(^|\/)\.\.?(\/|$)/);
  checkHeaders(seen, identity);
}

function checkHeaders({ headers, url, method }, identity) {
  const arrived = [];
  for (let index = 0; index < headers.length; index += 2) {
    const folded = headers[index].toLowerCase().replace(/[^a-z0-9]/g, "-");
    const value = headers[index + 1];
    assert.ok(!(STRIPPED.test(folded) && value.includes(FORGED)), `${headers[index]}: ${value}`);
    if (/^x-(auth|edge)-/.test(folded)) arrived.push([headers[index].toLowerCase(), value]);
  }
  const user = arrived.filter(([name]) => name.startsWith("x-auth-"));
  const names = user.map(([name]) => name).sort();
  if (identity === "never" || (identity === "sometimes" && names.length === 0)) assert.deepEqual(names, []);
  else assert.deepEqual(names, ["x-auth-exp", "x-auth-session", "x-auth-user"]);
  for (const [name, value] of user) if (name === "x-auth-user") assert.equal(value, "user-1");
  const assertions = arrived.filter(([name]) => !name.startsWith("x-auth-"));
  assert.deepEqual(
    assertions.map(([name]) => name),
    /^\/r-(api|public)/.test(url) ? ["x-edge-assertion"] : [],
  );
  for (const [, jws] of assertions) {
    const { htm, htu, sub } = JSON.parse(Buffer.from(jws.split(".")[1], "base64url"));
    assert.deepEqual([htm, htu, sub], [method, url, names.length === 0 ? undefined : "user-1"]);
  }
}

/** What stands in every value that a client may not get through. */
const FORGED = "root";
const STRIPPED =
  /^(x-auth-|x-edge-|x-forwarded|forwarded$|x-original-|x-rewrite-|x-http-method|x-method-override$|x-request-id$|x-real-ip$|true-client-ip$|x-client-ip$|proxy-|te$|trailer$|keep-alive$|upgrade$)/;

/** Small, fast and the same everywhere (mulberry32). */
class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  below(limit) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  chance(percent) {
    return this.below(100) < percent;
  }
  times(limit, make) {
    return Array.from({ length: this.below(limit + 1) }, make);
  }
}

function generate(random) {
  const method = random.pick(["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
  const target = path(random) + query(random);
  const body = random.chance(20) && !["GET", "HEAD"].includes(method) ? "hello" : "";
  const lines = [`${method} ${target} HTTP/1.1`, "Host: edge.example", ...credentials(random)];
  lines.push(...random.times(10, () => header(random)));
  if (body !== "" || random.chance(50)) lines.push(`Content-Length: ${body.length}`);
  return { method, target, bytes: [...lines, "", body].join("\r\n") };
}

function path(random) {
  const start = random.pick(STARTS);
  const hostile = random.chance(35);
  return start + random.times(4, () => random.pick(hostile ? SEGMENTS : PLAIN_SEGMENTS)).join("");
}

function query(random) {
  return random.chance(40) ? `?${random.times(4, () => random.pick(QUERIES)).join("")}` : "";
}

function credentials(random) {
  const good = random.pick([`Bearer ${token}`, `bearer ${token}`]);
  return random.pick([
    [`Authorization: ${good}`],
    [`Authorization: ${good}`],
    [`Authorization: ${good}`],
    [`Cookie: a=1; __Host-token=${token}`],
    [`Cookie: __Host-token=${token}`, "Origin: https://app.example"],
    [`Authorization: ${good}`, `authorization: ${good}`],
    [`Authorization: ${good}`, `Cookie: __Host-token=${token}`],
    ["Authorization: Bearer root"],
    ["Authorization: Basic cm9vdDpyb290"],
    [`Authorization: ${good}, Bearer root`],
    [`Sec-WebSocket-Protocol: bearer.${token}`],
    [],
  ]);
}

function header(random) {
  if (random.chance(10)) return `Connection: ${random.times(4, () => random.pick(LISTED)).join(", ")}`;
  const name = [...random.pick(NAMES)].map((letter) => spell(random, letter)).join("");
  return `${name}: ${random.pick(VALUES)}`;
}

/** Case, and every character that some backend might take for a dash. */
function spell(random, letter) {
  if (letter === "-") return random.chance(50) ? "-" : random.pick(["_", ".", "~", "!", "*", "|", "^", "'"]);
  return random.chance(30) ? letter.toUpperCase() : letter;
}

const STARTS = [
  ...Array(8).fill(["/api/", "/public/", "/maybe/", "/cookie/"]).flat(),
  ...["/", "//api/", "/%61pi/", "/api", "/API/", "/api/../public/", "/public/../api/", "/public/%2e%2e/api/"],
  ...["/public/..%2fapi/", "/./api/", "/api/admin/", "/api/%61dmin/", "/public/\\..\\api/", "/api/./admin/"],
  ...["/.well-known/edge/", "/.well-known/edge-jwks.json", "/caf\u00c3\u00a9/", "/publi%63/", "/public%2f", "/p%75blic/"],
];
const PLAIN_SEGMENTS = ["a", "b/", "c-d_e~f", "/x".slice(1), "%20", "%C3%A9", "%41", "@:!$&'()*+,=", "[0]", "|", "1/"];
const SEGMENTS = [
  ...PLAIN_SEGMENTS,
  ...["%2f", "%2F", "%5c", "%5C", "\\", "..", "../", "/..", "%2e%2e/", ".%2e/", "./", "//", ";", "%3b", "%00", "%0a"],
  ...["%0d%0aX-Auth-User:%20root", "%25", "%252f", "%c0%af", "%ff", "%zz", "%", "%u002f", "#", "\u00c3\u00a9", "\u00e9"],
  ...["{x}", '"', "<", "^", "`", "admin/", "root"],
];
const QUERIES = ["a=1", "&", "?", "/../", "%2f", "%00", ";", "\\", "'", '"', "access_token=root", "http://evil.example/", "+"];
const NAMES = [
  ...["x-auth-user", "x-auth-role", "x-auth-session", "x-auth-exp", "x-auth-email", "x-auth-", "x-auth-new"],
  ...["x-edge-assertion", "x-edge-anything", "x-forwarded-for", "x-forwarded-user", "x-forwarded-host", "forwarded"],
  ...["x-original-url", "x-rewrite-url", "x-http-method-override", "x-method-override", "x-real-ip", "true-client-ip"],
  ...["x-client-ip", "x-request-id", "traceparent", "tracestate", "proxy-authorization", "x-custom", "accept", "te"],
  ...["trailer", "keep-alive", "x-authority", "cf-connecting-ip", "access-control-request-method", "origin", "via"],
];
const VALUES = [
  ...["root", "root", "root", "root, root", "  root  ", "root;admin", '"root"', "%72oot root", "root\u00e9", "root/../"],
  ...["10.6.6.6 root", "DELETE root", "x".repeat(300) + "root", "\troot", "user-1", "https://app.example", "GET", ""],
];
const LISTED = ["close", "keep-alive", "x-auth-user", "X_Auth_User", "x-auth-session", "x-edge-assertion", "host", "te"];
