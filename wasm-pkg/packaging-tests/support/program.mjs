/** A program that runs beside a test. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

/**
 * Starts `node <file>` with a port of its own, and waits until it says that it is ready.
 *
 * @param {{ after(act: () => unknown): void }} test stops it at the end
 * @param {string} folder
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @returns {Promise<string>} where it listens
 */
export async function startServer(test, folder, args, env) {
  const port = await freePort();
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  test.after(async () => {
    if (child.exitCode !== null) return;
    child.kill();
    await once(child, "exit");
  });
  for await (const line of createInterface(child.stdout)) {
    said += `${line}\n`;
    if (/ready/i.test(line)) return `http://127.0.0.1:${port}`;
  }
  throw new Error(`${args.join(" ")} did not start:\n${said}`);
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
