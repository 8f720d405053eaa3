/**
 * Builds `dist/`: the WebAssembly module, one JavaScript file for each entry and format, and the
 * types for CommonJS. Fails when something is larger than it may be.
 *
 * `node scripts/build.mjs`
 */

import { copyFile, mkdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build as bundle } from "esbuild";
import { buildWasm, FAST, PLAIN } from "./wasm.mjs";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(PACKAGE, "dist");

export async function build() {
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST, { recursive: true });
  for (const variant of [PLAIN, FAST]) buildWasm(join(DIST, variant.name), variant);
  await Promise.all(ENTRIES.map(bundleEntry));
  await Promise.all(TYPES.map(copyTypes));
  await copyLicences();
  await checkSizes();
}

/** Small, with a map that shows debuggers the code as it was written. */
async function bundleEntry({ from, to }) {
  await bundle({
    absWorkingDir: PACKAGE,
    entryPoints: [`js/entries/${from}`],
    outfile: `dist/${to}`,
    bundle: true,
    format: to.endsWith(".cjs") ? "cjs" : "esm",
    platform: "neutral",
    target: "es2022",
    minify: true,
    sourcemap: "linked",
    external: ["node:*", "cloudflare:*", "*.wasm", "*.wasm?module", "@nestjs/*"],
    plugins: [moduleAsText],
    logLevel: "warning",
    // An entry says `module.exports` itself.
    logOverride: { "commonjs-variable-in-esm": "silent" },
  });
}

/** For the entry that carries the module inside. */
const moduleAsText = {
  name: "verifier.wasm.base64",
  setup(build) {
    const filter = /verifier\.wasm\.base64$/;
    build.onResolve({ filter }, () => ({ path: join(DIST, "verifier.wasm"), namespace: "base64" }));
    build.onLoad({ filter: /.*/, namespace: "base64" }, async ({ path }) => ({
      contents: await readFile(path),
      loader: "base64",
    }));
  },
};

/** TypeScript wants a file of its own for `require`; in it, relative names would mean others. */
async function copyTypes(file) {
  const [name] = file.split("/").at(-1).split(".");
  await copyFile(join(PACKAGE, file), join(DIST, `${name}.d.cts`));
}

/** Both texts are at the root of the repository; npm packs only what is in the package's folder. */
async function copyLicences() {
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    await copyFile(join(PACKAGE, "..", name), join(PACKAGE, name));
  }
}

async function checkSizes() {
  const rows = await Promise.all(LIMITS.map(measure));
  for (const { file, raw, gzip, limit } of rows) {
    console.log(`${file.padEnd(24)}${kb(raw)}${kb(gzip)} gzip, limit ${limit} KB`);
  }
  const tooLarge = rows.filter(({ gzip, limit }) => gzip > limit * 1024);
  if (tooLarge.length > 0) {
    throw new Error(
      `too large: ${tooLarge.map(({ file }) => file).join(", ")}; find out what has come in, or raise the limit on purpose`,
    );
  }
}

async function measure({ file, limit }) {
  const path = join(DIST, file);
  const { size: raw } = await stat(path);
  return { file, raw, gzip: gzipSync(await readFile(path), { level: 9 }).length, limit };
}

const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`.padStart(10);

const both = (name) => [
  { from: `${name}.mjs`, to: `${name}.mjs` },
  { from: `${name}.mjs`, to: `${name}.cjs` },
];

const ENTRIES = [
  { from: "node.mjs", to: "node.mjs" },
  { from: "node.cjs.mjs", to: "node.cjs" },
  { from: "workerd.mjs", to: "workerd.mjs" },
  { from: "browser.mjs", to: "browser.mjs" },
  { from: "edge-light.mjs", to: "edge-light.mjs" },
  { from: "testing-node.mjs", to: "testing-node.mjs" },
  { from: "testing-node.cjs.mjs", to: "testing-node.cjs" },
  { from: "testing-workerd.mjs", to: "testing-workerd.mjs" },
  { from: "testing-browser.mjs", to: "testing-browser.mjs" },
  { from: "webcrypto-browser.mjs", to: "webcrypto-browser.mjs" },
  { from: "inline-browser.mjs", to: "inline-browser.mjs" },
  { from: "init-browser.mjs", to: "init-browser.mjs" },
  ...["webcrypto", "inline", "init"].flatMap(both),
  ...["backend", "client", "edge", "express", "fastify", "hono", "nestjs", "next"].flatMap(both),
];

const TYPES = [
  "index.d.ts",
  "testing.d.ts",
  ...[
    ...["backend", "client", "edge", "express", "fastify", "hono", "init", "nestjs", "next"],
    "webcrypto",
  ].map((name) => `types/${name}.d.ts`),
];

/** What a page, a worker or a server has to load, in KB after gzip. */
const LIMITS = [
  { file: "verifier.wasm", limit: 48 },
  { file: "verifier.fast.wasm", limit: 48 },
  { file: "node.mjs", limit: 5 },
  { file: "node.cjs", limit: 5 },
  { file: "workerd.mjs", limit: 5 },
  { file: "browser.mjs", limit: 5 },
  { file: "edge-light.mjs", limit: 5 },
  // The module in base64, and its loader.
  { file: "inline-browser.mjs", limit: 72 },
  // All that the module does, revocations included.
  { file: "webcrypto-browser.mjs", limit: 8 },
  { file: "client.mjs", limit: 4 },
  { file: "edge.mjs", limit: 7 },
  { file: "express.mjs", limit: 6 },
  { file: "fastify.mjs", limit: 6 },
  { file: "hono.mjs", limit: 6 },
  { file: "nestjs.mjs", limit: 6 },
  { file: "next.mjs", limit: 6 },
];

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
