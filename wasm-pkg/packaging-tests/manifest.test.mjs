// The manifest and the types of the tarball, as the tools see them that look for what others get
// wrong.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { tarball } from "./support/installed.mjs";

const PACKAGE = fileURLToPath(new URL("../", import.meta.url));

test("publint finds nothing, not even a suggestion", async () => {
  const { messages, pkg } = await publint({ pkgDir: PACKAGE, strict: true });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
});

test("types of every entry resolve in every way that TypeScript has", () => {
  const manifest = createRequire(import.meta.url).resolve("@arethetypeswrong/cli/package.json");
  const attw = join(dirname(manifest), "dist/index.js");
  // The modules themselves are no code, and have no types.
  const modules = ["verifier.wasm", "verifier.fast.wasm"];
  const args = [tarball(), "--exclude-entrypoints", ...modules, "--no-definitely-typed"];
  const said = execFileSync(process.execPath, [attw, ...args], { encoding: "utf8" });
  assert.match(said, /No problems found/);
});
