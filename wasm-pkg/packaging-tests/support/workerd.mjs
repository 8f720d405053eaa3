/** A worker bundled by wrangler, as for deployment, and run in workerd. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WRANGLER = fileURLToPath(import.meta.resolve("wrangler")).replace(
  /wrangler-dist.*/,
  "bin/wrangler.js",
);

/**
 * Runs `<folder>/<main>`; gives back a `fetch` that goes to it.
 *
 * @param {import("node:test").TestContext} test stops it at the end
 * @param {string} folder
 * @param {string} main
 */
export async function startWorker(test, folder, main) {
  demandNode();
  const { Miniflare } = await import("miniflare");
  const bundle = join(folder, "bundle");
  const flags = [
    "--dry-run",
    "--outdir",
    bundle,
    "--name",
    "test",
    "--compatibility-date",
    COMPATIBILITY_DATE,
  ];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" };
  execFileSync(process.execPath, [WRANGLER, "deploy", main, ...flags], {
    cwd: folder,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const config = {
    name: "test",
    compatibilityDate: COMPATIBILITY_DATE,
    manifest: manifest(bundle),
  };
  const miniflare = new Miniflare({ workers: [{ config }] });
  test.after(() => miniflare.dispose());
  return (path, init) => miniflare.dispatchFetch(new URL(path, "http://worker.test"), init);
}

/** What wrangler has left, as Miniflare wants it. */
function manifest(bundle) {
  const names = readdirSync(bundle).filter((name) => extname(name) in TYPES);
  const module = (name) => ({
    type: TYPES[extname(name)],
    contents: readFileSync(join(bundle, name)),
  });
  return {
    mainModule: names.find((name) => name.endsWith(".js")),
    modules: Object.fromEntries(names.map((name) => [name, module(name)])),
  };
}

function demandNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return;
  throw new Error(
    `wrangler and Miniflare need Node 22.12 or newer, and this is ${process.version}: run "cargo xtask test", which brings one`,
  );
}

const TYPES = { ".js": "esm", ".wasm": "wasm" };

const COMPATIBILITY_DATE = "2026-10-01";
