/**
 * The tables of a built module against the library in it, inside this engine.
 *
 * `node differential.mjs MODULE` reads cases as `fuzz cases` writes them (shared-claims/examples)
 * and fails when tables, library and what the native library said differ. With the number of a
 * fault as a second argument it plants that fault, once the tables of a key are made, and says
 * whether it was found.
 */

import { readFileSync } from "node:fs";

const [file, fault = "0"] = process.argv.slice(2);
const { exports: raw } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)));

let lastKey = "";
let found = 0;
let good = 0;
let all = 0;
for (const { key, signature, message, verdict } of cases(readFileSync(0))) {
  const parts = [key, message, signature];
  if (fault !== "0") {
    raw.plant(0);
    ask("verify_signature_by_tables", parts);
    raw.plant(Number(fault));
  }
  const byTables = ask("verify_signature_by_tables", parts);
  if (fault !== "0") raw.plant(0);
  const byLibrary = ask("verify_signature", parts);
  // Keys that are no good have no tables.
  const tablesAgree = verdict ? byTables === 1 : byTables === 2 || !isGood(key);
  all += 1;
  good += verdict;
  if (byLibrary === verdict && tablesAgree) continue;
  found += 1;
  if (fault !== "0") break;
  const hex = parts.map((part) => part.toString("hex")).join(" ");
  console.error(`native ${verdict}, library ${byLibrary}, tables ${byTables}: ${hex}`);
}
if (fault === "0") {
  console.log(`${all} signatures, ${good} of them good, ${found} differences`);
  process.exitCode = found > 0 || good === 0 ? 1 : 0;
} else {
  console.log(found > 0 ? `found after ${all} signatures` : `not found in ${all} signatures`);
  process.exitCode = found > 0 ? 0 : 1;
}

function ask(name, parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const at = raw.input(length);
  Buffer.concat(parts).copy(Buffer.from(raw.memory.buffer, at, length));
  return Number(raw[name](...parts.map((part) => part.length)));
}

/** Whether the tables of a key can be made: it is asked again only for another key. */
function isGood(key) {
  const text = key.toString("hex");
  if (text !== lastKey) {
    lastKey = text;
    isGood.answer = ask("verify_signature_by_tables", [key, Buffer.alloc(0), Buffer.alloc(64)]) > 0;
  }
  return isGood.answer;
}

function* cases(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const [key, signature] = [bytes.subarray(at, at + 32), bytes.subarray(at + 32, at + 96)];
    const verdict = bytes[at + 96];
    const end = at + 99 + bytes.readUInt16LE(at + 97);
    yield { key, signature, verdict, message: bytes.subarray(at + 99, end) };
    at = end;
  }
}
