// What people run by hand: the check of edge.toml, and the types of the entry.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "edge-tools-"));
after(() => rmSync(folder, { recursive: true }));

const run = (...args) => spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
const check = (...args) => run("edge-verifier/tools/check.mjs", ...args);

test("shipped_edge_toml_is_accepted_and_its_table_lines_up", () => {
  const { status, stdout } = check();
  assert.equal(status, 0);
  const lines = stdout.split("\n");
  const heading = lines.find((line) => line.startsWith("ROUTE"));
  const demo = lines.find((line) => line.startsWith("demo"));
  for (const [column, cell] of [
    ["PATH", "/api/*"],
    ["BACKEND", "http://127.0.0.1:9000"],
  ]) {
    assert.equal(demo.indexOf(cell), heading.indexOf(column), column);
  }
  assert.match(stdout, /health needs no token: liveness, no data/);
});

test("mistakes_are_named_with_line_and_remedy_and_the_exit_is_1", () => {
  const file = join(folder, "edge.toml");
  writeFileSync(file, '[issuer]\nurl = "https://id.example.com"\n[[route]]\nid = "a"\npth = "/a"\n');
  const { status, stdout, stderr } = check("--config", file);
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /line 1: \[issuer\] names no audience\n {4}add audience/);
  assert.match(stderr, /line 5: unknown key `pth` in \[\[route\]\] number 1\n {4}did you mean `path`\?/);
});

test("json_shows_the_configuration_and_the_bundle_is_for_the_worker", () => {
  assert.match(JSON.parse(check("--bundle").stdout), /^[0-9a-f]{500,}$/);
  const config = JSON.parse(check("--json").stdout);
  assert.deepEqual(
    config.routes.map(({ id }) => id),
    ["paid", "health", "demo"],
  );
});

test("explain_says_what_would_become_of_a_request", () => {
  for (const [method, url, text] of [
    ["GET", "/api/hello?x=1", /^route +demo\ntoken +needed for tollgate\n[^]*goes to +http:\/\/127.0.0.1:9000\/api\/hello\?x=1\n/],
    ["GET", "/api/paid/x", /^route +paid\n[^]*cost +1 in demo, on success\n/],
    ["GET", "https://edge.example/healthz", /^route +health\ntoken +not looked at: liveness, no data\n/],
    ["POST", "/healthz", /^refused with 405 method_not_allowed\nits path takes GET, HEAD\n/],
    ["GET", "/api/%2e%2e/x", /^refused with 400 invalid_path\n/],
    ["GET", "/nowhere", /^refused with 404 route_not_found\n/],
    ["GET", "/.well-known/edge/status", /^answered by the gateway itself/],
  ]) {
    const { status, stdout } = check("explain", method, url);
    assert.equal(status, 0);
    assert.match(stdout, text);
  }
});

test("wrong_arguments_and_missing_files_are_explained", () => {
  for (const [args, text] of [
    [["--nonsense"], /usage: node edge-verifier\/tools\/check\.mjs/],
    [["explain", "GET"], /usage: node edge-verifier\/tools\/check\.mjs/],
    [["--config", join(folder, "absent.toml")], /absent\.toml cannot be read/],
  ]) {
    const { status, stderr } = check(...args);
    assert.equal(status, 1);
    assert.match(stderr, text);
    assert.doesNotMatch(stderr, /\n\s+at /, "no stack");
  }
});

test("entry_agrees_with_the_types_of_the_module", () => {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = run(tsc, "--project", "edge-verifier/tsconfig.json");
  assert.equal(status, 0, stdout);
});
