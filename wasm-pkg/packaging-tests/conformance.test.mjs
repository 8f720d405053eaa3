// The one conformance list through the installed package, in every host. Each verdict must be
// the list's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { openPage, serve } from "./support/chromium.mjs";
import { install } from "./support/installed.mjs";
import { LIST_NAMES, listFile, lists } from "./support/lists.mjs";
import { startWorker } from "./support/workerd.mjs";

const ran = {};

test("every verdict in Node is the list's", (t) => {
  const folder = install(t, "conformance_node.mjs", "run_lists.mjs");
  const options = { cwd: folder, input: JSON.stringify(lists()), maxBuffer: 1 << 26 };
  check("Node", JSON.parse(execFileSync(process.execPath, ["conformance_node.mjs"], options)));
});

test("every verdict in Node by the module for engines without relaxed SIMD is the list's", (t) => {
  const folder = install(t, "conformance_node.mjs", "run_lists.mjs");
  const options = { cwd: folder, input: JSON.stringify(lists()), maxBuffer: 1 << 26 };
  const args = ["conformance_node.mjs", "plain"];
  check("Node, plain", JSON.parse(execFileSync(process.execPath, args, options)));
});

test("every verdict in workerd is the list's", async (t) => {
  const folder = install(t, "conformance_worker.mjs", "run_lists.mjs");
  const call = await startWorker(t, folder, "conformance_worker.mjs");
  const response = await call("/", { method: "POST", body: JSON.stringify(lists()) });
  check("workerd", await response.json());
});

test("every verdict in Chromium is the list's", async (t) => {
  const folder = install(t, "conformance_page.html", "conformance_page.mjs", "run_lists.mjs");
  mkdirSync(join(folder, "lists"));
  for (const name of LIST_NAMES)
    copyFileSync(listFile(name), join(folder, "lists", `${name}.json`));
  const page = await openPage(t, await serve(t, folder), "conformance_page.html");
  await page.waitForFunction(() => globalThis.report !== undefined, undefined, {
    timeout: 120_000,
  });
  check("Chromium", await page.evaluate(() => globalThis.report));
});

test("every verdict in Chromium by the module for engines without relaxed SIMD is the list's", async (t) => {
  const folder = install(t, "conformance_page.html", "conformance_page.mjs", "run_lists.mjs");
  mkdirSync(join(folder, "lists"));
  for (const name of LIST_NAMES)
    copyFileSync(listFile(name), join(folder, "lists", `${name}.json`));
  const page = await openPage(t, await serve(t, folder), "conformance_page.html?plain");
  await page.waitForFunction(() => globalThis.report !== undefined, undefined, {
    timeout: 120_000,
  });
  check("Chromium, plain", await page.evaluate(() => globalThis.report));
});

after(() => {
  const columns = [...new Set(Object.values(ran).flatMap(Object.keys))];
  const row = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(22))).join("");
  console.log(row(["", ...columns]));
  for (const [host, counts] of Object.entries(ran)) {
    console.log(row([host, ...columns.map((column) => String(counts[column]))]));
  }
});

/** No difference by any way, and nothing left out. */
function check(host, reports) {
  const { tokens, key_sets, signatures } = lists();
  for (const [way, report] of Object.entries(reports)) {
    ran[`${host}, ${way}`] = report.ran;
    assert.deepEqual(report.differences, [], way);
    assert.deepEqual(report.ran, {
      "tokens, keys fetched": tokens.length,
      "tokens, keys given": tokens.length,
      "key sets": key_sets.length,
      signatures: signatures.length,
    });
  }
}
