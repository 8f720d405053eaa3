// What is in the tarball, what can be imported from it, and what importing does: nothing.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { install } from "./support/installed.mjs";
import { lists } from "./support/lists.mjs";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

const run = (folder, program, ...args) =>
  JSON.parse(execFileSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8" }));
const packageOf = (folder) => join(folder, "node_modules/@tollgate/verifier");
const read = (folder, file) => readFileSync(join(packageOf(folder), "dist", file), "utf8");
const count = (text, part) => text.split(part).length - 1;

test("tarball holds what is needed and nothing else", (t) => {
  const folder = packageOf(install(t));
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.includes("."));
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const exported = [...new Set(JSON.stringify(manifest.exports).match(/\.\/[^"]+/g))]
    .filter((name) => /\.(mjs|cjs|ts|cts|wasm|json)$/.test(name))
    .map((name) => name.slice(2))
    .filter((name) => !/^verifier.*\.wasm$/.test(name));
  const maps = exported.filter((name) => /js$/.test(name)).map((name) => `${name}.map`);
  assert.deepEqual(files.sort(), [...new Set([...exported, ...maps, "README.md"])].sort());
});

/** What each entry exports; those of frameworks that must be installed are left to their tests. */
const EXPORTS = {
  ".": ["VerifyError", "createVerifier"],
  "./inline": ["VerifyError", "createVerifier"],
  "./webcrypto": ["VerifyError", "createVerifier"],
  "./init": ["VerifyError", "createVerifier", "init", "initSync"],
  "./client": ["AuthError", "cookieStorage", "createAuthClient", "memoryStorage"],
  "./edge": ["VerifyError", "createEdgeVerifier"],
  "./backend": ["Refusal", "createGuard", "fromNode", "fromWeb"],
  "./express": ["Refusal", "charge", "tollgate"],
  "./fastify": ["Refusal", "charge", "tollgate"],
  "./hono": ["Refusal", "charge", "tollgate"],
  "./next": ["Refusal", "tollgate"],
  "./testing": ["verifySignature", "verifySignatureWithWebCrypto"],
};

for (const [program, format] of [
  ["imports_nothing_esm.mjs", "import"],
  ["imports_nothing_cjs.cjs", "require"],
]) {
  test(`Node by ${format} gets every export, and nothing is compiled or instantiated`, (t) => {
    const folder = install(t, program, "count_webassembly.cjs");
    const report = run(folder, program, JSON.stringify(Object.keys(EXPORTS)));
    assert.deepEqual(report, { modules: 0, instances: 0, names: EXPORTS });
  });
}

test("every entry that is exported is tested by its exports, or in its framework", () => {
  const url = new URL("../package.json", import.meta.url);
  const entries = Object.keys(JSON.parse(readFileSync(url, "utf8")).exports);
  const elsewhere = ["./nestjs", "./verifier.wasm", "./verifier.fast.wasm", "./package.json"];
  assert.deepEqual(entries.sort(), [...Object.keys(EXPORTS), ...elsewhere].sort());
});

/** One token and what to verify it with, as an argument of `verify_given.mjs`. */
const given = () => {
  const one = lists().tokens.find(({ expected }) => expected === "ok");
  const options = { ...one.policy, jwks: JSON.parse(one.jwks) };
  return JSON.stringify({ options, token: one.token, now: one.now });
};

/**
 * npm installs what a scope has for this kind of machine, which may be nothing, or need a newer
 * processor than this one. The conditions are tested everywhere.
 *
 * @returns {string | null}
 */
function binaryOf(scope, file) {
  const folder = join(MODULES, scope);
  const packages = existsSync(folder) ? readdirSync(folder) : [];
  const paths = packages.flatMap((name) =>
    [file, `${file}.exe`].map((file) => join(folder, name, file)),
  );
  return paths.find((path) => spawnSync(path, ["--version"]).status === 0) ?? null;
}

for (const [runtime, program, args, entry] of [
  ["Node", process.execPath, [], "node.mjs"],
  ["Node as Deno resolves", process.execPath, ["--conditions=deno"], "node.mjs"],
  ["Node as Bun resolves", process.execPath, ["--conditions=bun"], "node.mjs"],
  ["Deno", binaryOf("@deno", "deno"), ["run", "--allow-read", "--no-lock"], "node.mjs"],
  ["Bun", binaryOf("@oven", "bin/bun"), ["run"], "node.mjs"],
]) {
  const name = `${runtime} accepts a token and refuses a forged one, by its entry`;
  const skip = program === null && `npm has no ${runtime} that runs on this machine`;
  test(name, { skip }, (t) => {
    const folder = install(t, "verify_given.mjs");
    const options = { cwd: folder, encoding: "utf8" };
    const said = execFileSync(program, [...args, "verify_given.mjs", given()], options);
    const { sub, refused, entry: resolved } = JSON.parse(said);
    assert.deepEqual([typeof sub, refused, resolved], ["string", "bad_signature", entry]);
  });
}

for (const [condition, entries] of Object.entries({
  workerd: {
    ".": "workerd.mjs",
    "./inline": "workerd.mjs",
    "./webcrypto": "workerd.mjs",
  },
  "edge-light": {
    ".": "edge-light.mjs",
    "./inline": "edge-light.mjs",
    "./webcrypto": "edge-light.mjs",
  },
  browser: {
    ".": "browser.mjs",
    "./inline": "inline-browser.mjs",
    "./webcrypto": "webcrypto-browser.mjs",
    "./init": "init-browser.mjs",
    "./testing": "testing-browser.mjs",
  },
})) {
  test(`condition ${condition} chooses its entries`, async (t) => {
    const folder = install(t);
    for (const [entry, file] of Object.entries(entries)) {
      const contents = `export * from "@tollgate/verifier${entry.slice(1)}"`;
      const result = await build({
        stdin: { contents, resolveDir: folder },
        conditions: [condition],
        bundle: true,
        format: "esm",
        external: ["cloudflare:*", "*.wasm", "*.wasm?module"],
        metafile: true,
        write: false,
      });
      const inputs = Object.keys(result.metafile.inputs).filter((name) => name.includes("dist"));
      assert.deepEqual(
        inputs.map((name) => name.split("/").at(-1)),
        [file],
        entry,
      );
    }
  });
}

test("entry of the edge runtime verifies with a module that was compiled for it", async (t) => {
  const folder = install(t, "verify_given.mjs");
  const moduleFrom = {
    name: "wasm?module",
    setup(build) {
      const filter = /\.wasm\?module$/;
      build.onResolve({ filter }, ({ path, resolveDir }) => ({
        path: join(resolveDir, path.split("?")[0]),
        namespace: "module",
      }));
      build.onLoad({ filter: /.*/, namespace: "module" }, ({ path }) => ({
        contents: `import { readFileSync } from "node:fs";
          export default new WebAssembly.Module(readFileSync(${JSON.stringify(path)}));`,
      }));
    },
  };
  await build({
    entryPoints: [join(folder, "verify_given.mjs")],
    outfile: join(folder, "bundled.mjs"),
    conditions: ["edge-light"],
    bundle: true,
    format: "esm",
    external: ["node:*"],
    plugins: [moduleFrom],
    logLevel: "error",
  });
  const { sub, refused } = run(folder, "bundled.mjs", given());
  assert.deepEqual([typeof sub, refused], ["string", "bad_signature"]);
});

test("errors of one copy are known to another", (t) => {
  const report = run(install(t, "two_copies.mjs"), "two_copies.mjs");
  assert.equal(report.differentCopies, true);
  assert.deepEqual(report.each, [
    [true, true],
    [true, true],
  ]);
  assert.deepEqual(report.others, [false, false, false, false, false]);
});

test("module's path and the manifest can be resolved, and nothing that is not listed", (t) => {
  const { resolve } = createRequire(join(install(t), "program.cjs"));
  assert.match(resolve("@tollgate/verifier/verifier.wasm"), /dist\/verifier\.wasm$/);
  assert.match(resolve("@tollgate/verifier/verifier.fast.wasm"), /dist\/verifier\.fast\.wasm$/);
  assert.match(resolve("@tollgate/verifier/package.json"), /verifier\/package\.json$/);
  for (const path of ["dist/node.cjs", "dist/browser.mjs", "js/verifier.mjs", "index.js"]) {
    assert.throws(() => resolve(`@tollgate/verifier/${path}`), {
      code: "ERR_PACKAGE_PATH_NOT_EXPORTED",
    });
  }
});

test("only the entries that load by URL name each module once, as bundlers look for it", (t) => {
  const folder = install(t);
  const urls = ["verifier.wasm", "verifier.fast.wasm"].map(
    (name) => `new URL("./${name}",import.meta.url)`,
  );
  for (const [file, n] of Object.entries({
    "browser.mjs": 1,
    "node.mjs": 1,
    "node.cjs": 0,
    "workerd.mjs": 0,
    "edge-light.mjs": 0,
    "inline.mjs": 0,
    "inline-browser.mjs": 0,
    "init-browser.mjs": 0,
    "webcrypto-browser.mjs": 0,
    "edge.mjs": 0,
  })) {
    for (const url of urls) assert.equal(count(read(folder, file), url), n, file);
    assert.equal(count(read(folder, file), "import.meta"), n * urls.length, file);
  }
  assert.equal(count(read(folder, "workerd.mjs"), 'from"./verifier.fast.wasm"'), 1);
  assert.equal(count(read(folder, "edge-light.mjs"), 'from"./verifier.wasm?module"'), 1);
});

test("bundler leaves out what is imported and not used", async (t) => {
  const folder = install(t);
  const contents = 'import { createVerifier } from "@tollgate/verifier"; console.log(1);';
  for (const conditions of [["browser"], ["node"], ["workerd"], ["edge-light"]]) {
    const stdin = { contents, resolveDir: folder };
    const options = {
      stdin,
      conditions,
      bundle: true,
      format: "esm",
      external: ["node:*", "cloudflare:*", "*.wasm", "*.wasm?module"],
      write: false,
    };
    const { outputFiles } = await build({ ...options, logLevel: "error" });
    assert.match(outputFiles.at(-1).text, /^\/\/ <stdin>\nconsole\.log\(1\);\n$/, conditions[0]);
  }
});
