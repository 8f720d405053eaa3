// The real issuer: the program `tollgate`, with a database of its own and clients that call it.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PASSWORD = "correct horse battery";
const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");

/** The program; `cargo xtask test` says where it is. */
function program() {
  const path = process.env.TOLLGATE_BIN;
  if (!path) throw new Error("set TOLLGATE_BIN to the built `tollgate`, or run `cargo xtask test`");
  return path;
}

/** Starts an issuer in development mode, with an embedded PostgreSQL. */
export async function startTollgate(variables = {}) {
  const data = mkdtempSync(join(tmpdir(), "tollgate-"));
  // As root the database runs as another user, who must reach its files.
  chmodSync(data, 0o711);
  const first = await start(["--dev"], { TOLLGATE_DATA_DIR: data, MASTER_KEY, ...variables });
  return {
    ...first,
    /** Another issuer on the same database, under the same name. */
    second: () =>
      start([], { DATABASE_URL: databaseUrl(data), MASTER_KEY, JWT_ISSUER: first.url, ...variables }),
    /** Runs a subcommand beside it; the exit code and what was said. */
    run: (...args) => {
      const env = environment({ TOLLGATE_DATA_DIR: data, MASTER_KEY, JWT_ISSUER: first.url, ...variables });
      const { status, stdout, stderr } = spawnSync(program(), args, { env, encoding: "utf8" });
      return { status, stdout, stderr };
    },
    /** Kills the database server as a crash does; it is started again by its issuer. */
    killDatabase: () => process.kill(postmaster(data), "SIGKILL"),
    async close() {
      await first.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function start(args, variables) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = environment({ LISTEN_ADDR: `127.0.0.1:${port}`, ...variables });
  const child = spawn(program(), ["serve", ...args], { env, stdio: ["ignore", "inherit", "ignore"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await until(async () => (await fetch(`${url}/ready`)).ok, 60_000);
  return {
    url,
    ...client(url),
    async close() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function environment(variables) {
  const { PATH, TOLLGATE_POSTGRES_BIN } = process.env;
  return { PATH, TOLLGATE_POSTGRES_BIN, RUST_LOG: "error", RATE_LIMIT_SCALE: "1000", ...variables };
}

/** What an app asks of an issuer. */
function client(url) {
  const post = async (path, { token, body } = {}) => {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(`${url}/api/v1${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body ?? {}),
    });
    return { status: response.status, body: await response.json() };
  };
  return {
    post,
    register: (name) => post("/auth/register", { body: { email: `${name}@example.com`, password: PASSWORD } }),
    login: async (name) => {
      const { status, body } = await post("/auth/login", { body: { email: `${name}@example.com`, password: PASSWORD } });
      if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    logout: (token) => post("/auth/logout", { token }),
    refresh: (refreshToken) => post("/auth/refresh", { body: { refreshToken } }),
  };
}

/** The login of the embedded server, from the record its owner keeps. */
function databaseUrl(data) {
  const record = JSON.parse(readFileSync(join(data, "postgres.json"), "utf8"));
  const url = new URL("postgres://localhost/tollgate");
  url.username = "tollgate_issuer";
  url.password = record.issuerPassword;
  url.search = new URLSearchParams({ host: record.socketDir, port: "5432", sslmode: "disable" });
  return url.href;
}

function postmaster(data) {
  const record = JSON.parse(readFileSync(join(data, "postgres.json"), "utf8"));
  const folder = readdirSync(record.clusterDir, { recursive: true }).find((path) => path.endsWith("postmaster.pid"));
  return Number(readFileSync(join(record.clusterDir, folder), "utf8").split("\n")[0]);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until something holds; what throws does not hold yet. */
export async function until(holds, withinMs) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await holds().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error(`did not come about within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
