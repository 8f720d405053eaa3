/**
 * How many of the conformance list's hostile tokens other libraries accept, as the table of
 * docs/npm.md.
 *
 * `node wasm-pkg/packaging-tests/support/hostile.mjs --write` puts it there.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { lists } from "./lists.mjs";
import { OTHERS } from "./others.mjs";

const PAGE = new URL("../../../docs/npm.md", import.meta.url);
const [BEGIN, END] = ["<!-- hostile tokens -->", "<!-- end of hostile tokens -->"];

/** The page, with the table as it should be. */
export async function pageWithTable() {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(BEGIN);
  const [, after] = rest.split(END);
  return { is: page, shouldBe: `${before}${BEGIN}\n${await table()}\n${END}${after}` };
}

async function table() {
  const { tokens } = lists();
  const names = Object.keys(OTHERS);
  const counts = new Map();
  for (const one of tokens) {
    const row = counts.get(one.expected) ?? { total: 0, accepted: names.map(() => 0) };
    row.total += 1;
    for (const [i, name] of names.entries()) {
      if (await accepts(name, one)) row.accepted[i] += 1;
    }
    counts.set(one.expected, row);
  }
  const good = counts.get("ok");
  counts.delete("ok");
  const hostile = [...counts].sort(([, a], [, b]) => b.total - a.total);
  const sum = (read) => hostile.reduce((all, [, row]) => all + read(row), 0);
  const line = (...cells) => `| ${cells.join(" | ")} |`;
  return [
    line("what the token is, by our code", "tokens", "this package", ...names),
    line("---", ...Array(names.length + 2).fill("--:")),
    ...hostile.map(([code, row]) => line(`\`${code}\``, row.total, 0, ...row.accepted)),
    line(
      "**hostile tokens accepted**",
      sum((row) => row.total),
      "**0**",
      ...names.map((_, i) => `**${sum((row) => row.accepted[i])}**`),
    ),
    line("good tokens accepted", good.total, good.total, ...good.accepted),
  ].join("\n");
}

/** At the time of the case, which only some of them can be told. */
async function accepts(name, { token, jwks, policy, now }) {
  const RealDate = globalThis.Date;
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      super(...(args.length === 0 ? [now * 1000] : args));
    }
    static now() {
      return now * 1000;
    }
  };
  try {
    await OTHERS[name](token, JSON.parse(jwks), policy);
    return true;
  } catch {
    return false;
  } finally {
    globalThis.Date = RealDate;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { shouldBe } = await pageWithTable();
  if (process.argv.includes("--write")) writeFileSync(PAGE, shouldBe);
  else console.log(await table());
}
