/**
 * From the Rust crate to `verifier.wasm` and `verifier.fast.wasm`: cargo, wasm-bindgen, wasm-opt.
 * They differ in how they compute signatures: the fast one needs an engine with relaxed SIMD.
 *
 * Of wasm-bindgen's work only the module is used. Its JavaScript belongs to one instance for
 * each program and to one format; ours (`js/core.mjs`) does not, and is smaller.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * @param {string} to where to leave the module
 * @param {Variant} variant
 */
export function buildWasm(to, variant) {
  const scratch = mkdtempSync(join(tmpdir(), "verifier-wasm-"));
  try {
    const bound = bind(compile(variant), scratch);
    optimize(withoutGlue(bound, scratch, variant), to, variant);
    checkInterface(to);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** @param {Variant} variant */
function compile({ name, cargoFeatures, rustFlags, settings: ownSettings }) {
  console.log(`${name}: compiling (about a minute the first time)`);
  // With the `rlib` of the native tests beside it there would be no link-time optimization.
  const what = "--package wasm-pkg --lib --crate-type cdylib";
  const features = ["freestanding", ...cargoFeatures].join(",");
  const how = `--profile ${PROFILE} --target ${TARGET}`;
  const rustflags = [...RUST_FLAGS, ...remapped(), ...rustFlags];
  const all = { ...SETTINGS, ...ownSettings, [`target.${TARGET}.rustflags`]: rustflags };
  const settings = Object.entries(all).flatMap(([name, value]) => [
    "--config",
    `${name}=${JSON.stringify(value)}`,
  ]);
  run("cargo", ["rustc", ...`${what} ${how}`.split(" "), "--features", features, ...settings]);
  return resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", TARGET, PROFILE, "wasm_pkg.wasm");
}

/**
 * Where this machine keeps things is told to the compiler under the same names everywhere: the paths
 * of panics end up in the module, which is to be the same wherever it is built.
 */
function remapped() {
  const sysroot = execFileSync("rustc", ["--print", "sysroot"], { encoding: "utf8" }).trim();
  const places = [
    [ROOT, "/tollgate"],
    [process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "/cargo"],
    [sysroot, "/rust"],
  ];
  return places.map(([place, name]) => `--remap-path-prefix=${place}=${name}`);
}

function bind(compiled, scratch) {
  const flags = "--target web --no-typescript --remove-name-section --remove-producers-section";
  const where = ["--out-name", "bound", "--out-dir", scratch];
  run(wasmBindgen(), [...flags.split(" "), ...where, compiled]);
  return join(scratch, "bound_bg.wasm");
}

/** Keeps what `js/core.mjs` calls, and what that needs. */
function withoutGlue(bound, scratch, { features, exports }) {
  const names = ["memory", ...calledFunctions(), ...exports];
  const graph = [
    { name: "core.mjs", root: true, reaches: names },
    ...names.map((name) => ({ name, export: name })),
  ];
  const graphFile = join(scratch, "graph.json");
  const kept = join(scratch, "kept.wasm");
  writeFileSync(graphFile, JSON.stringify(graph));
  run(
    process.execPath,
    [binaryen("wasm-metadce"), ...FEATURES, ...features, bound, "--graph-file", graphFile, "-o", kept],
    "ignore",
  );
  return kept;
}

function optimize(from, to, { features, goal }) {
  if (goal === null) return copyFileSync(from, to);
  const flags = [...FEATURES, ...features, goal];
  run(process.execPath, [binaryen("wasm-opt"), ...flags, from, "-o", to]);
}

/** The exports that the Rust source declares. */
function calledFunctions() {
  const source = readFileSync(join(ROOT, "wasm-pkg/src/lib.rs"), "utf8");
  return [...source.matchAll(/#\[wasm_bindgen\]\npub fn (\w+)/g)].map(([, name]) => name);
}

function checkInterface(file) {
  const module = new WebAssembly.Module(readFileSync(file));
  const imports = WebAssembly.Module.imports(module);
  if (imports.length > 0)
    throw new Error(
      `verifier.wasm imports ${imports.map(({ name }) => name).join(", ")}; it must import nothing`,
    );
}

/** The one that `cargo xtask setup` installs, or one on the path. */
function wasmBindgen() {
  const version = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(
    readFileSync(join(ROOT, "Cargo.lock"), "utf8"),
  )?.[1];
  const folders = [join(ROOT, ".tools/bin"), ...(process.env.PATH ?? "").split(delimiter)];
  const candidates = folders.map((folder) => join(folder, "wasm-bindgen")).filter(existsSync);
  const found = candidates.find(
    (path) =>
      execFileSync(path, ["--version"], { encoding: "utf8" }).trim() === `wasm-bindgen ${version}`,
  );
  if (!found) throw new Error(`there is no wasm-bindgen ${version}: run "cargo xtask setup"`);
  return found;
}

const binaryen = (name) => join(ROOT, "node_modules/binaryen/bin", name);

/** Flags of the surroundings would take the place of ours. */
function run(program, args, stdout = "inherit") {
  const { RUSTFLAGS, CARGO_ENCODED_RUSTFLAGS, ...env } = process.env;
  execFileSync(program, args, { cwd: ROOT, env, stdio: ["ignore", stdout, "inherit"] });
}

const TARGET = "wasm32-unknown-unknown";

const PROFILE = "verifier";

/**
 * As small as it gets, but for the curve: there speed costs 6 KB and makes a verification twice
 * as fast. Unrolled hashing would cost as much and gain little.
 */
const SETTINGS = {
  [`profile.${PROFILE}.inherits`]: "release",
  [`profile.${PROFILE}.opt-level`]: "s",
  [`profile.${PROFILE}.package.curve25519-dalek.opt-level`]: 3,
  [`profile.${PROFILE}.lto`]: "fat",
  [`profile.${PROFILE}.panic`]: "abort",
};

const RUST_FLAGS = ['--cfg=sha2_backend_soft="compact"'];

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {string[]} cargoFeatures
 * @property {string[]} exports what it exports besides
 * @property {string[]} rustFlags
 * @property {Record<string, unknown>} settings
 * @property {string[]} features what the tools of binaryen have to understand besides
 * @property {string | null} goal what `wasm-opt` aims at; nothing when it is not to touch the code
 */

/** @type {Variant} */
export const PLAIN = {
  name: "verifier.wasm",
  cargoFeatures: [],
  exports: [],
  rustFlags: [],
  settings: {},
  features: [],
  goal: "-O3",
};

/**
 * Here the tables do the work and the library only confirms. What is inlined by default makes the
 * module a sixth larger and no faster; what `wasm-opt` does to the arithmetic makes it a tenth
 * slower.
 *
 * @type {Variant}
 */
export const FAST = {
  name: "verifier.fast.wasm",
  cargoFeatures: [],
  exports: [],
  rustFlags: ["-Ctarget-feature=+simd128,+relaxed-simd", "-Cllvm-args=-inline-threshold=22"],
  settings: {
    [`profile.${PROFILE}.package.shared-claims.opt-level`]: 2,
    [`profile.${PROFILE}.package.curve25519-dalek.opt-level`]: "s",
  },
  features: ["--enable-simd", "--enable-relaxed-simd"],
  goal: null,
};

/**
 * The same, but that its arithmetic can be made to slip: what compares verdicts has to notice.
 * Not part of the package.
 *
 * @type {Variant}
 */
export const PLANTED = {
  ...FAST,
  name: "verifier.planted.wasm",
  cargoFeatures: ["planted-faults"],
  exports: ["plant"],
};

/** What rustc uses by default for this target, all of it in every runtime we support. */
const FEATURES = [
  "--enable-bulk-memory",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-nontrapping-float-to-int",
  "--enable-reference-types",
  "--enable-sign-ext",
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const variant = [PLAIN, FAST, PLANTED].find(({ name }) => name === process.argv[2]);
  if (!variant) throw new Error("usage: node wasm.mjs NAME FILE");
  buildWasm(process.argv[3], variant);
}
