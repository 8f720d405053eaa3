/**
 * `stage.mjs FOLDER BACKEND`: what the gateway and its peers need to be measured. Writes a folder
 * for each with its modules and the configuration of workerd, plays the issuer and the cache of a
 * data centre, and signs tokens.
 *
 * Says one line of JSON when it is ready, and one for each line that it is told:
 * `sign N` writes that many new tokens; `rotate` lets the next key sign and forgets the one before
 * the last; `revoke SESSION` ends a session; `copies N` waits until the cache holds that many
 * answers. It ends with its input.
 */

import { randomBytes } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { build } from "esbuild";
import { compile } from "../../edge-verifier/test/support/gateway.mjs";
import { signingKey, startIssuer } from "../../edge-verifier/test/support/issuer.mjs";

const ROOT = join(import.meta.dirname, "../..");
const EDGE = join(ROOT, "edge-verifier");
const AUDIENCE = "tollgate";
const COMPATIBILITY_DATE = readFileSync(join(ROOT, "wrangler.toml"), "utf8").match(
  /^compatibility_date = "(.*)"$/m,
)[1];

const [folder, backend, keyTtl = ""] = process.argv.slice(2);
const issuer = await startIssuer();
/** The key that signs is in the middle: the one before it is still published, the next one already. */
let generation = 1;
let signed = 0;
publish();
/** What the cache holds, by URL. */
const copies = new Map();
const cache = await startCache();
await gateway("ours", `trust = "network"`);
await gateway("signing", "assertion = true");
for (const name of ["believe", "jose", "pass"]) await peer(name);
say({ issuer: issuer.url });

for await (const line of createInterface({ input: process.stdin })) {
  const [what, argument] = line.split(" ");
  if (what === "sign") say({ tokens: sign(Number(argument)) });
  if (what === "rotate") {
    generation += 1;
    publish();
    say({ generation });
  }
  if (what === "revoke") {
    issuer.revoke({ sid: argument });
    say({ revoked: argument });
  }
  if (what === "copies") say({ copies: await copiesOf(Number(argument)) });
}
process.exit();

function publish() {
  issuer.tokenKey = signingKey(1000 + generation);
  issuer.published = [generation - 1, generation, generation + 1].map((n) => signingKey(1000 + n).jwk);
}

/** A file of tokens, each of a user and a session of its own: user, session, token. */
function sign(n) {
  const lines = Array.from({ length: n }, () => {
    signed += 1;
    const number = String(signed).padStart(12, "0");
    const [sub, sid] = [`user-${number}`, `session-${number}`];
    const token = issuer.token({ sub, sid, email: `somebody.${signed}@example.com`, jti: `token-${signed}` });
    return `${sub} ${sid} ${token}\n`;
  });
  const file = join(folder, "tokens");
  writeFileSync(file, lines.join(""));
  return file;
}

/** The gateway as it is deployed, for a backend that believes it or wants its signature. */
async function gateway(name, believed) {
  const toml = `
    [issuer]
    url = "${issuer.url}"
    audience = "${AUDIENCE}"
    ${keyTtl && `jwks = { ${keyTtl} }`}
    [[route]]
    id = "api"
    path = "/api/*"
    methods = ["GET", "POST"]
    roles = ["user", "admin"]
    backend = { url = "${backend}", ${believed} }`;
  const source = join(folder, name, "source");
  for (const path of ["entry.mjs", "build"]) cpSync(join(EDGE, path), join(source, path), { recursive: true });
  writeFileSync(join(source, "build/edge.json"), compile(toml));
  await bundle(name, join(source, "entry.mjs"));
  const wasm = "build/edge_bg.wasm";
  mkdirSync(join(folder, name, "build"));
  copyFileSync(join(source, wasm), join(folder, name, wasm));
  const secrets = { EDGE_SIGNING_KEY: randomBytes(32).toString("base64url") };
  configure(name, { "entry.mjs": "esModule", [wasm]: "wasm" }, "entry.mjs", secrets);
}

async function peer(name) {
  const stage = join(folder, "stage.json");
  writeFileSync(stage, JSON.stringify({ backend, issuer: issuer.url, audience: AUDIENCE }));
  await bundle(name, join(import.meta.dirname, `peer.${name}.mjs`), { "bench-stage": stage });
  configure(name, { "entry.mjs": "esModule" }, "entry.mjs");
}

/** One file of all JavaScript, as `wrangler deploy` makes it. */
async function bundle(name, entry, alias = {}) {
  await build({
    entryPoints: [entry],
    outfile: join(folder, name, "entry.mjs"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd"],
    alias,
    external: ["*.wasm"],
    nodePaths: [join(ROOT, ".tools/verify-bench/node_modules")],
    logLevel: "warning",
  });
}

/** The configuration of workerd; the first module is the one that answers. */
function configure(name, modules, main, secrets = {}) {
  const paths = [main, ...Object.keys(modules).filter((path) => path !== main)];
  const list = paths.map((path) => `(name = "${path}", ${modules[path]} = embed "${path}")`);
  const bindings = Object.entries(secrets).map(([key, value]) => `(name = "${key}", text = "${value}")`);
  const text = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${list.join(",\n        ")}],
      bindings = [${bindings.join(", ")}],
      compatibilityDate = "${COMPATIBILITY_DATE}",
      globalOutbound = "network",
      cacheApiOutbound = "cache")),
    (name = "network", network = (allow = ["local", "private", "public"])),
    (name = "cache", external = (address = "127.0.0.1:${cache}")),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`;
  writeFileSync(join(folder, name, "config.capnp"), text);
}

/** The cache of a data centre as workerd asks for it: whole answers are put and got under a URL. */
async function startCache() {
  const server = createServer(async (request, response) => {
    const url = `${request.headers.host}${request.url}`;
    if (request.method === "PUT") {
      copies.set(url, Buffer.concat(await request.toArray()));
      return response.writeHead(204).end();
    }
    const found = copies.get(url);
    if (!found) return response.writeHead(504, { "cf-cache-status": "MISS" }).end();
    const end = found.indexOf("\r\n\r\n");
    const lines = found.subarray(0, end).toString().split("\r\n").slice(1);
    const headers = lines.map((line) => line.split(/: ?(.*)/s, 2));
    response.writeHead(200, [...headers.flat(), "cf-cache-status", "HIT"]).end(found.subarray(end + 4));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

/** How many answers the cache holds when it is so many, or after two seconds. */
async function copiesOf(wanted) {
  for (let look = 0; look < 200 && copies.size < wanted; look += 1) await setTimeout(10);
  return copies.size;
}

function say(value) {
  console.log(JSON.stringify(value));
}
