/** The packed tarball, installed into a folder of its own as a user would install it. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const INSTALLED = fileURLToPath(new URL("../.installed/", import.meta.url));

/**
 * A folder with the package in `node_modules`, and these fixtures beside it.
 *
 * @param {import("node:test").TestContext} test removes it at the end
 * @param {...string} fixtures
 */
export function install(test, ...fixtures) {
  return installInto(test, mkdtempSync(join(tmpdir(), "verifier-installed-")), FIXTURES, fixtures);
}

/**
 * The same with examples, where the frameworks that these tests depend on are found, too.
 *
 * @param {{ after(act: () => void): void }} test removes it at the end
 * @param {...string} examples
 */
export function installBesideFrameworks(test, ...examples) {
  mkdirSync(INSTALLED, { recursive: true });
  return installInto(test, mkdtempSync(INSTALLED), EXAMPLES, examples);
}

function installInto(test, folder, from, files) {
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  const flags = ["--offline", "--no-audit", "--no-fund", "--silent", "--legacy-peer-deps"];
  execFileSync("npm", ["install", ...flags, tarball()], { cwd: folder, stdio: "inherit" });
  for (const name of files) cpSync(join(from, name), join(folder, name), { recursive: true });
  return folder;
}

export function tarball() {
  const names = readdirSync(PACKAGE).filter((name) => name.endsWith(".tgz"));
  if (names.length === 1) return join(PACKAGE, names[0]);
  throw new Error(`there are ${names.length} tarballs in wasm-pkg: run "cargo xtask wasm pack"`);
}
