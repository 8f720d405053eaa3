// Checks edge.toml and prints what each route does; `--write` also leaves it for the
// Worker. Runs on Node alone: the rules are those of the Worker, as WebAssembly.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const build = join(dirname(fileURLToPath(import.meta.url)), "..", "build");
const USAGE = `usage: node edge-verifier/tools/check.mjs [--config FILE] [--json | --bundle | --write]
       node edge-verifier/tools/check.mjs [--config FILE] explain METHOD URL
       node edge-verifier/tools/check.mjs key
  checks FILE (edge.toml) and prints the effective routes,
  or what would become of a request;
  --json   prints them as JSON;
  --bundle prints them as the Worker reads them;
  --write  leaves that in edge-verifier/build/edge.json as well;
  key prints a new secret EDGE_SIGNING_KEY`;

/** The seed of an Ed25519 key (RFC 8032, section 5.1.5). */
const SIGNING_KEY_BYTES = 32;

/** Something to tell the person at the terminal, without a stack. */
class Refusal extends Error {}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Refusal ? error.message : error);
  process.exitCode = 1;
}

async function main() {
  const { config, json, bundle, write, explained, key } = readArguments();
  if (key) {
    console.log(randomBytes(SIGNING_KEY_BYTES).toString("base64url"));
    return 0;
  }
  const { checkConfig, explain } = await load();
  const text = read(config);
  const checked = checkConfig(text);
  if (checked.problems !== "") {
    console.error(`${config} is not accepted:\n\n${checked.problems}\n`);
    return 1;
  }
  if (write) {
    mkdirSync(build, { recursive: true });
    writeFileSync(join(build, "edge.json"), JSON.stringify(checked.bundle));
  }
  if (explained) console.log(explain(text, ...explained));
  else if (bundle) console.log(JSON.stringify(checked.bundle));
  else console.log(json ? checked.json : checked.table);
  return 0;
}

function readArguments() {
  const options = {
    config: { type: "string", default: "edge.toml" },
    json: { type: "boolean", default: false },
    bundle: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const [verb, ...explained] = positionals;
    if (verb === undefined) return values;
    if (verb === "key" && explained.length === 0) return { ...values, key: true };
    if (verb === "explain" && explained.length === 2) return { ...values, explained };
  } catch {
    // Said below.
  }
  throw new Refusal(USAGE);
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new Refusal(`${file} cannot be read.\nName the file with --config, or run this where it is.`);
  }
}

/** The configuration rules, out of the module that was built beside the Worker. */
async function load() {
  const wasm = join(build, "tool_bg.wasm");
  let module;
  try {
    module = new WebAssembly.Module(readFileSync(wasm));
  } catch {
    throw new Refusal("The tool has not been built yet.\nRun `cargo xtask edge build` once.");
  }
  const tool = await import("../build/tool.js");
  tool.initSync({ module });
  return tool;
}
