/**
 * `cargo xtask bench verify-wasm`: the npm package against jose, in turns, in one runtime after
 * the other. Exits with 1 when a figure is missed.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as runtimes from "./runtimes.mjs";
import { makeTokens } from "./tokens.mjs";

/** How often; in how many turns, so that a neighbour's burst hits both; and over how many tokens. */
const ROUNDS = 11;
const TURNS = 6;
/** Turns before the first round: engines compile anew what has run often. */
const WARM_UP = 40;
const SIZES = { "never seen": 2000, repeated: 20_000 };

/** More than a cache of verified tokens holds, so that none is ever found there. */
const N_TOKENS = 3 * 4096;

const FIGURES = [
  { runtime: "workerd", what: "never seen", goal: 3.5 },
  { runtime: "workerd", what: "repeated", goal: 0.9 },
  { runtime: "node", what: "never seen", goal: 5 },
  { runtime: "node", what: "repeated", goal: 0.9 },
  { runtime: "browser", what: "never seen", goal: 1 },
  { runtime: "browser", what: "repeated", goal: 0.9 },
];

async function main(names) {
  const folder = mkdtempSync(join(tmpdir(), "verify-bench-"));
  try {
    const fixtures = makeTokens(N_TOKENS);
    writeFileSync(join(folder, "fixtures.json"), JSON.stringify(fixtures));
    console.log(`${"".padEnd(22)}${["ratio", "lowest", "highest", "goal"].map(cell).join("")}`);
    let missed = 0;
    const measured = [];
    for (const name of names) {
      const runtime = await runtimes[name](folder, fixtures);
      for (const figure of FIGURES.filter((figure) => figure.runtime === name)) {
        const ratios = await measure(runtime, figure);
        measured.push({ name: `${name}, ${figure.what}`, goal: figure.goal, ratios });
        missed += isReached(ratios, figure.goal) ? 0 : 1;
      }
      await runtime.stop();
    }
    // For the plot, where somebody draws one.
    const file = process.env.BENCH_FIGURES;
    if (file !== undefined) writeFileSync(file, JSON.stringify(measured.map(inThousandths)));
    if (missed > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The ratios of all rounds, the lowest first. */
async function measure(runtime, { runtime: name, what, goal }) {
  const [ours, theirs] = [`${what}, ours`, `${what}, jose`];
  for (let turn = 0; turn < WARM_UP; turn += 1) await compared(runtime, ours, theirs, SIZES[what]);
  const ratios = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const total = [0, 0];
    for (let turn = 0; turn < TURNS; turn += 1) {
      const times = await compared(runtime, ours, theirs, SIZES[what]);
      times.forEach((ms, i) => (total[i] += ms));
    }
    ratios.push(total[1] / total[0]);
  }
  ratios.sort((a, b) => a - b);
  const [lowest, median, highest] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) => ratios[i]);
  const cells = [median, lowest, highest, goal].map((ratio) => cell(ratio.toFixed(2)));
  const verdict = isReached(ratios, goal) ? "" : "  missed";
  console.log(`${`${name}, ${what}`.padEnd(22)}${cells.join("")}${verdict}`);
  return ratios;
}

const isReached = (ratios, goal) => ratios[ROUNDS >> 1] >= goal;

const inThousandths = ({ name, goal, ratios }) => ({
  name,
  goal: Math.round(goal * 1000),
  ratios: ratios.map((ratio) => Math.round(ratio * 1000)),
});

const compared = async (runtime, ours, theirs, n) => [
  await timed(runtime, ours, n),
  await timed(runtime, theirs, n),
];

/** Milliseconds; every token has to be accepted. */
async function timed(runtime, contestant, n) {
  const { accepted, ms } = await runtime.run(contestant, n);
  if (accepted !== n) throw new Error(`${contestant}: ${accepted} of ${n} tokens were accepted`);
  return ms;
}

const cell = (text) => text.padStart(10);

const all = ["workerd", "node", "browser"];
await main(process.argv.length > 2 ? process.argv.slice(2) : all);
