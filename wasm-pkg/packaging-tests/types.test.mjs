// The types of the installed package, as TypeScript sees them under each module resolution.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { install, installBesideFrameworks } from "./support/installed.mjs";

const TSC = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
const COMMON = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", ""];

for (const [name, files, flags] of [
  ["nodenext", ["usage.mts", "usage.cts"], ["--module", "nodenext"]],
  ["node16", ["usage.mts", "usage.cts"], ["--module", "node16"]],
  ["a bundler", ["usage.mts"], ["--module", "esnext", "--moduleResolution", "bundler"]],
  [
    "a bundler for Workers",
    ["usage.mts"],
    ["--module", "esnext", "--moduleResolution", "bundler", "--customConditions", "workerd"],
  ],
]) {
  test(`types hold and refuse what they must with the resolution of ${name}`, (t) => {
    const folder = install(t);
    for (const file of files)
      copyFileSync(new URL(`../test-d/${file}`, import.meta.url), join(folder, file));
    const { status, stdout } = spawnSync(process.execPath, [TSC, ...COMMON, ...flags, ...files], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(stdout, "");
    assert.equal(status, 0);
  });
}

for (const [name, flags] of [
  ["node16", ["--module", "node16"]],
  ["nodenext", ["--module", "nodenext"]],
  ["a bundler", ["--module", "esnext", "--moduleResolution", "bundler"]],
]) {
  test(`types of the integrations hold beside their frameworks with the resolution of ${name}`, (t) => {
    const folder = installBesideFrameworks(t);
    copyFileSync(
      new URL("../test-d/frameworks.mts", import.meta.url),
      join(folder, "frameworks.mts"),
    );
    // The frameworks' own types are not ours to check.
    const ours = [
      ...COMMON.slice(0, -2),
      "--types",
      "node",
      "--skipLibCheck",
      "--experimentalDecorators",
      "--ignoreConfig",
    ];
    const { status, stdout } = spawnSync(
      process.execPath,
      [TSC, ...ours, ...flags, "frameworks.mts"],
      {
        cwd: folder,
        encoding: "utf8",
      },
    );
    assert.equal(stdout, "");
    assert.equal(status, 0);
  });
}

test("sources keep to the types", () => {
  const config = fileURLToPath(new URL("../tsconfig.json", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [TSC, "--project", config], {
    encoding: "utf8",
  });
  assert.equal(stdout, "");
  assert.equal(status, 0);
});
