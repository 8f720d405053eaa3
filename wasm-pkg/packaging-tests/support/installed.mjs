/** The packed tarball, installed into a folder of its own as a user would install it. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));

/**
 * A folder with the package in `node_modules`, and these fixtures beside it.
 *
 * @param {import("node:test").TestContext} test removes it at the end
 * @param {...string} fixtures
 */
export function install(test, ...fixtures) {
  const folder = mkdtempSync(join(tmpdir(), "verifier-installed-"));
  test.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  const flags = ["--offline", "--no-audit", "--no-fund", "--silent"];
  execFileSync("npm", ["install", ...flags, tarball()], { cwd: folder, stdio: "inherit" });
  for (const name of fixtures) copyFileSync(join(FIXTURES, name), join(folder, name));
  return folder;
}

export function tarball() {
  const names = readdirSync(PACKAGE).filter((name) => name.endsWith(".tgz"));
  if (names.length === 1) return join(PACKAGE, names[0]);
  throw new Error(`there are ${names.length} tarballs in wasm-pkg: run "cargo xtask wasm pack"`);
}
