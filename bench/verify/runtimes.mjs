/**
 * The runtimes, each as a function that verifies n tokens by one contestant and says how many
 * milliseconds it took.
 *
 * @typedef {{ run: (name: string, n: number) => Promise<{ accepted: number, ms: number }>,
 *   stop: () => Promise<void> }} Runtime
 */

import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { chromium } from "playwright-core";

const HERE = import.meta.dirname;
const ROOT = join(HERE, "../..");
const DIST = join(ROOT, "wasm-pkg/dist");
const MODULES = ["verifier.wasm", "verifier.fast.wasm"];

/** @returns {Promise<Runtime>} */
export async function node(folder, fixtures) {
  const file = join(folder, "node.mjs");
  await bundle("contest.mjs", file, "node.mjs");
  for (const name of MODULES) copyFileSync(join(DIST, name), join(folder, name));
  const { contest } = await import(pathToFileURL(file).href);
  const contestants = await contest(fixtures);
  const run = async (name, n) => {
    const began = performance.now();
    const accepted = await contestants[name](n);
    return { accepted, ms: performance.now() - began };
  };
  return { run, stop: async () => {} };
}

/** What a request that verifies nothing takes is taken off. */
export async function workerd(folder) {
  const file = join(folder, "worker.mjs");
  await bundle("worker.mjs", file, "workerd.mjs", folder);
  const modules = {
    "worker.mjs": { type: "esm", contents: readFileSync(file) },
    "verifier.fast.wasm": { type: "wasm", contents: readFileSync(join(DIST, MODULES[1])) },
  };
  const config = {
    name: "bench",
    compatibilityDate: "2026-10-01",
    manifest: { mainModule: "worker.mjs", modules },
  };
  const miniflare = new Miniflare({ workers: [{ config }] });
  const timed = async (name, n) => {
    const began = performance.now();
    const query = new URLSearchParams({ name, n: String(n) });
    const response = await miniflare.dispatchFetch(`http://worker.test/?${query}`);
    const text = await response.text();
    return { accepted: Number(text), ms: performance.now() - began };
  };
  const run = async (name, n) => {
    const nothing = await timed(name, 0);
    const { accepted, ms } = await timed(name, n);
    return { accepted, ms: ms - nothing.ms };
  };
  return { run, stop: () => miniflare.dispose() };
}

export async function browser(folder) {
  await bundle("page.mjs", join(folder, "page.mjs"), "browser.mjs");
  writeFileSync(join(folder, "index.html"), '<script type="module" src="page.mjs"></script>');
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1) || "index.html";
    const type = { html: "text/html", mjs: "text/javascript" }[name.split(".").at(-1)];
    const file = MODULES.includes(name) ? join(DIST, name) : join(folder, name);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": type ?? "application/octet-stream" });
    response.end(readFileSync(file));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const executablePath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
  const chrome = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const page = await chrome.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => globalThis.run !== undefined);
  return {
    run: (name, n) => page.evaluate(([name, n]) => globalThis.run(name, n), [name, n]),
    stop: async () => {
      await chrome.close();
      server.close();
    },
  };
}

/** The package as it is built for one runtime, and jose as it is installed for this. */
async function bundle(from, to, entry, folder = HERE) {
  await build({
    entryPoints: [join(HERE, from)],
    outfile: to,
    bundle: true,
    format: "esm",
    platform: entry === "node.mjs" ? "node" : "neutral",
    mainFields: ["module", "main"],
    conditions: [entry.split(".")[0]],
    alias: {
      "@tollgate/verifier": join(DIST, entry),
      "verify-fixtures": join(folder, "fixtures.json"),
    },
    nodePaths: [join(ROOT, ".tools/verify-bench/node_modules")],
    external: ["node:*", "cloudflare:*", "*.wasm"],
    logLevel: "warning",
  });
}
