// The gateway in workerd, as it is deployed but for the bundler: entry, glue, module and a
// configuration that went through the shipped tool.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const PROBE = "test/support/probe.mjs";
const COMPATIBILITY_DATE = readFileSync(join(root, "..", "wrangler.toml"), "utf8").match(
  /^compatibility_date = "(.*)"$/m,
)[1];

/** The configuration a deployment would bundle for this `edge.toml`. */
export function compile(toml) {
  const folder = mkdtempSync(join(tmpdir(), "edge-"));
  try {
    const file = join(folder, "edge.toml");
    writeFileSync(file, toml);
    const tool = join(root, "tools", "check.mjs");
    return execFileSync(process.execPath, [tool, "--config", file, "--bundle"], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Starts a gateway that requests reach without anything in front. `env` holds bindings in
 * the form of Miniflare; with `probe` it can be broken and looked into; `logs` collects lines.
 */
export async function startGateway({ toml, env = {}, probe = false, workers = [] }) {
  const logs = [];
  const runtime = new Miniflare({
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ message }) => logs.push(message.startsWith("{") ? JSON.parse(message) : message),
    workers: [worker("gateway", manifest(compile(toml), probe), env), ...workers],
  });
  await runtime.ready;
  const url = (await runtime.unsafeGetDirectURL("gateway")).origin;
  return {
    logs,
    url,
    port: Number(new URL(url).port),
    status: async () => (await fetch(`${url}/.well-known/edge/status`)).json(),
    close: () => runtime.dispose(),
  };
}

/** A worker of one module, for service bindings. */
export function smallWorker(name, source) {
  return worker(name, { mainModule: "main.mjs", modules: { "main.mjs": { type: "esm", contents: source } } });
}

function worker(name, manifest, env = {}) {
  return {
    config: { name, compatibilityDate: COMPATIBILITY_DATE, manifest, env },
    dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
  };
}

function manifest(config, probe) {
  const esm = ["entry.mjs", "build/edge.js", ...snippets(), ...(probe ? [PROBE] : [])];
  const modules = Object.fromEntries(esm.map((path) => [path, { type: "esm", contents: text(path) }]));
  const wasm = new Uint8Array(readFileSync(join(root, "build/edge_bg.wasm")));
  modules["build/edge_bg.wasm"] = { type: "wasm", contents: wasm };
  modules["build/edge.json"] = { type: "json", contents: config };
  return { mainModule: probe ? PROBE : "entry.mjs", modules };
}

function text(path) {
  return readFileSync(join(root, path), "utf8");
}

/** Small modules that the bindings of the `worker` crate bring along. */
function snippets() {
  const folder = join(root, "build", "snippets");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith(".js"))
    .map((path) => `build/snippets/${path}`);
}
