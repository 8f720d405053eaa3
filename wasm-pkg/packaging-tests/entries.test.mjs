// What is in the tarball, what can be imported from it, and what importing does: nothing.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { install } from "./support/installed.mjs";

const run = (folder, program) =>
  JSON.parse(execFileSync(process.execPath, [program], { cwd: folder, encoding: "utf8" }));
const packageOf = (folder) => join(folder, "node_modules/@tollgate/verifier");
const read = (folder, file) => readFileSync(join(packageOf(folder), "dist", file), "utf8");
const count = (text, part) => text.split(part).length - 1;

test("tarball holds what is needed and nothing else", (t) => {
  const files = readdirSync(packageOf(install(t)), { recursive: true }).filter((name) =>
    name.includes("."),
  );
  const entries = ["node.mjs", "node.cjs", "workerd.mjs", "browser.mjs"].flatMap((name) => [
    name,
    `testing-${name}`,
  ]);
  const dist = [
    ...entries,
    ...entries.map((name) => `${name}.map`),
    "index.d.cts",
    "testing.d.cts",
    "verifier.fast.wasm",
    "verifier.wasm",
  ];
  const expected = [
    "README.md",
    "index.d.ts",
    "package.json",
    "testing.d.ts",
    ...dist.map((name) => `dist/${name}`),
  ];
  assert.deepEqual(files.sort(), expected.sort());
});

for (const [program, format] of [
  ["imports_nothing_esm.mjs", "import"],
  ["imports_nothing_cjs.cjs", "require"],
]) {
  test(`Node by ${format} gets every export, and nothing is compiled or instantiated`, (t) => {
    const report = run(install(t, program, "count_webassembly.cjs"), program);
    assert.deepEqual(report, {
      modules: 0,
      instances: 0,
      names: ["VerifyError", "createVerifier", "verifySignature"],
    });
  });
}

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
  })) {
    for (const url of urls) assert.equal(count(read(folder, file), url), n, file);
    assert.equal(count(read(folder, file), "import.meta"), n * urls.length, file);
  }
  assert.equal(count(read(folder, "workerd.mjs"), 'from"./verifier.fast.wasm"'), 1);
});

test("bundler leaves out what is imported and not used", async (t) => {
  const folder = install(t);
  const contents = 'import { createVerifier } from "@tollgate/verifier"; console.log(1);';
  for (const conditions of [["browser"], ["node"], ["workerd"]]) {
    const stdin = { contents, resolveDir: folder };
    const options = {
      stdin,
      conditions,
      bundle: true,
      format: "esm",
      external: ["node:*", "cloudflare:*", "*.wasm"],
      write: false,
    };
    const { outputFiles } = await build({ ...options, logLevel: "error" });
    assert.match(outputFiles.at(-1).text, /^\/\/ <stdin>\nconsole\.log\(1\);\n$/, conditions[0]);
  }
});
