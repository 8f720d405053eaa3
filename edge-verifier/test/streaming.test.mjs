// Bodies of any size pass through without staying: a gigabyte each way, with the memory of workerd.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { startWorld } from "./support/world.mjs";

const SIZE = 1 << 30;
/**
 * What workerd may grow by while a gigabyte passes. A body that is counted leaves garbage, of which
 * V8 lets some 90 MB gather, whatever the size: it was the same with 3 GiB.
 */
const MAX_GROWTH_MB = 128;

const toml = ({ issuer, backend }) => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  [[route]]
  id = "large"
  path = "/large/*"
  methods = ["GET", "POST"]
  max_body_bytes = ${SIZE}
  timeout_ms = 300000
  backend = { url = "${backend.url}" }`;

let world;
let token;
before(async () => {
  const value = Buffer.alloc(32, 7).toString("base64url");
  world = await startWorld(toml, { gateway: { env: { EDGE_SIGNING_KEY: { type: "text", value } } } });
  token = world.issuer.token();
  assert.equal(await send(["x"], {}), "1", "the isolate is warm");
});
after(() => world.close());

test("download_of_a_gibibyte_arrives_whole_in_constant_memory", async () => {
  await measured("download", async () => {
    const response = await world.call(`/large/flood?bytes=${SIZE}`, { token });
    assert.equal(response.status, 200);
    let n = 0;
    for await (const chunk of response.body) n += chunk.length;
    assert.equal(n, SIZE);
  });
});

for (const [name, headers] of [
  ["announced", { "content-length": String(SIZE) }],
  ["unannounced", { "transfer-encoding": "chunked" }],
]) {
  test(`upload_of_a_gibibyte_${name}_arrives_whole_in_constant_memory`, async () => {
    await measured(`upload, ${name}`, async () => {
      assert.equal(await send(pieces(SIZE), headers), String(SIZE));
    });
  });
}

function* pieces(size) {
  const piece = Buffer.alloc(256 * 1024, "x");
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

/** Sends a body no faster than it is taken; answers the answer's. */
async function send(body, headers) {
  const call = request(`${world.gateway.url}/large/sink`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const answered = new Promise((resolve, reject) => call.on("response", resolve).on("error", reject));
  for (const piece of body) {
    if (!call.write(piece)) await new Promise((resolve) => call.once("drain", resolve));
  }
  call.end();
  let text = "";
  for await (const chunk of (await answered).setEncoding("utf8")) text += chunk;
  return text;
}

async function measured(what, run) {
  const before = residentMb();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, residentMb())), 50);
  const beganAt = performance.now();
  try {
    await run();
  } finally {
    clearInterval(watch);
  }
  const secs = (performance.now() - beganAt) / 1000;
  const rate = SIZE / 2 ** 20 / secs;
  console.log(
    `${what}: 1 GiB in ${secs.toFixed(1)} s (${rate.toFixed(0)} MiB/s), workerd ${before} MB before, ${most} MB at most`,
  );
  assert.ok(most - before <= MAX_GROWTH_MB, `workerd grew from ${before} to ${most} MB`);
}

/** The resident memory of the workerd that this process has started. */
function residentMb() {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const status = pids.map(statusOf).find((text) => text.includes(`\nPPid:\t${process.pid}\n`) && /^Name:\tworkerd/.test(text));
  return Math.round(Number(status.match(/VmRSS:\s+(\d+) kB/)[1]) / 1024);
}

/** A process may end while we look. */
function statusOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
