/**
 * Builds the package and leaves its tarball in this folder: what is tested and published.
 *
 * `node scripts/pack.mjs`
 */

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));

await build();
for (const name of readdirSync(PACKAGE).filter((name) => name.endsWith(".tgz"))) {
  rmSync(join(PACKAGE, name));
}
const tarball = execFileSync("npm", ["pack", "--silent"], {
  cwd: PACKAGE,
  encoding: "utf8",
}).trim();
console.log(`wasm-pkg/${tarball}`);
