// docs/operations.md as its reader follows it: its commands are run as they stand there, against
// Debian's own servers, by a user without rights. Only places and ports are others, and what would
// change the machine (packages, users, services) is played by the scripts below.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../../edge-verifier/test/support/tollgate.mjs";
import { path, read } from "./support.mjs";

/** The ports that the page names. */
const PORTS = [5432, 6432, 6379, 3001, 9090];
/** Debian's `nobody`. */
const NOBODY = 65534;
/** What would change the machine, done to the folder that stands for it. */
const PLAYED = {
  sudo: `
if [ "$1" = -u ]; then
  export PGUSER=$2
  shift 2
fi
exec "$@"
`,
  // Whatever the page asks for must be a package that was really installed.
  "apt-get": `
for package in "$@"; do
  case $package in install | --*) continue ;; esac
  dpkg-query --show --showformat '\${db:Status-Status}' "$package" | grep -qx installed || { echo "$package is not installed" >&2; exit 1; }
done
`,
  useradd: "",
  chown: `[ -e "\${@: -1}" ]
`,
  // Without the owner, who is another one here.
  install: `
arguments=()
while [ $# -gt 0 ]; do
  case $1 in -o | -g) shift 2 ;; *) arguments+=("$1"); shift ;; esac
done
exec /usr/bin/install "\${arguments[@]}"
`,
  systemctl: `
begin() {
  name=$1
  shift
  if [ -f "$MACHINE/run/$name.pid" ]; then kill "$(cat "$MACHINE/run/$name.pid")"; fi
  setsid "$@" >>"$MACHINE/run/$name.log" 2>&1 </dev/null &
  echo $! >"$MACHINE/run/$name.pid"
}
reachable() {
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.05
  done
  echo "nothing listens on $1" >&2
  exit 1
}
case "$*" in
  "restart postgresql") pg_ctl restart --silent --pgdata "$DATA" --log "$MACHINE/run/postgresql.log" >/dev/null ;;
  "restart pgbouncer")
    begin pgbouncer pgbouncer "$MACHINE/etc/pgbouncer/pgbouncer.ini"
    reachable "$(sed -n 's/^listen_port = //p' "$MACHINE/etc/pgbouncer/pgbouncer.ini")" ;;
  "restart redis-server")
    begin redis redis-server "$MACHINE/etc/redis/redis.conf"
    reachable "$(sed -n 's/^port //p' "$MACHINE/etc/redis/redis.conf")" ;;
  "restart prometheus")
    begin prometheus prometheus --config.file="$MACHINE/etc/prometheus/prometheus.yml" \\
      --storage.tsdb.path="$MACHINE/var/lib/prometheus" --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" ;;
  daemon-reload) ;;
  "enable --now tollgate")
    unit=$MACHINE/etc/systemd/system/tollgate.service
    set -a
    . "$(sed -n 's/^EnvironmentFile=//p' "$unit")"
    set +a
    begin tollgate $(sed -n 's/^ExecStart=//p' "$unit") ;;
  *) echo "systemctl $*: not played here" >&2; exit 1 ;;
esac
`,
};

const page = read("docs/operations.md");
const machine = mkdtempSync(join(tmpdir(), "tollgate-machine-"));
const ports = {};
let said;

before(async () => {
  for (const port of PORTS) ports[port] = await freePort();
  prepare();
  const { status, stdout, stderr } = shell(script());
  said = stdout;
  assert.equal(status, 0, `${stdout}\n${stderr}\n${logs()}`);
}, { timeout: 120_000 });

after(() => {
  for (const pid of started()) signal(pid, "SIGTERM");
  shell(`pg_ctl stop --silent --mode immediate --pgdata "$DATA"`);
  for (const pid of started()) signal(pid, "SIGKILL");
  rmSync(machine, { recursive: true, force: true });
});

test("issuer_is_ready_through_pgbouncer_and_shares_its_limits_through_redis", async () => {
  assert.equal((await fetch(url(3001, "/health"))).status, 200);
  assert.equal((await fetch(url(3001, "/ready"))).status, 200);
  const environment = readFileSync(join(machine, "etc/tollgate/issuer.env"), "utf8");
  assert.match(environment, new RegExp(`^DATABASE_URL=.*@127\\.0\\.0\\.1:${ports[6432]}/`, "m"));
  assert.match(readFileSync(join(machine, "var/log/postgresql/pgbouncer.log"), "utf8"), /login attempt: db=tollgate user=tollgate_issuer/);
  const metrics = await (await fetch(url(3001, "/metrics"))).text();
  assert.match(metrics, /^tollgate_rate_limit_shared_up 1$/m);
});

test("passwords_are_kept_and_shown_as_scram_only", () => {
  const list = `select count(*) from pg_authid where rolname like 'tollgate%' and rolcanlogin and rolpassword not like 'SCRAM-SHA-256$%'`;
  assert.equal(shell(`psql --username postgres --tuples-only --no-align --command "${list.replaceAll("$", "\\$")}"`).stdout.trim(), "0");
  assert.match(readFileSync(join(machine, "etc/pgbouncer/userlist.txt"), "utf8"), /^"tollgate_issuer" "SCRAM-SHA-256\$/);
  for (const [port, name] of [[5432, "tollgate_issuer"], [6432, "tollgate_issuer"], [5432, "tollgate_migrator"]]) {
    const wrong = shell(`PGPASSWORD=wrong psql --host 127.0.0.1 --port ${ports[port]} --username ${name} --command 'select 1' tollgate`);
    assert.notEqual(wrong.status, 0, `${name} is let in on ${port}`);
  }
  const redis = shell(`redis-cli -p ${ports[6379]} ping`);
  assert.match(redis.stdout, /NOAUTH/);
});

test("first_admin_and_first_user_sign_in", async () => {
  const login = async (email, password) => {
    const body = JSON.stringify({ email, password });
    const response = await fetch(url(3001, "/api/v1/auth/login"), { method: "POST", headers: { "content-type": "application/json" }, body });
    return { status: response.status, body: await response.json() };
  };
  const password = said.match(/^password, shown this once: (\S+)$/m)?.[1];
  const admin = await login("admin@example.com", password);
  assert.equal(admin.body.user?.role, "admin", said);
  assert.equal((await login("ada@example.com", "correct horse battery")).status, 200);
  assert.match(said, /every account follows from its entries/);
});

test("prometheus_scrapes_the_issuer_and_has_read_the_alerts", async () => {
  const ask = async (path) => (await (await fetch(url(9090, path))).json()).data;
  await until(async () => (await ask("/api/v1/query?query=up")).result[0]?.value[1] === "1", 20_000);
  const [{ metric }] = (await ask("/api/v1/query?query=up")).result;
  assert.equal(metric.job, "tollgate");
  await until(async () => (await ask("/api/v1/query?query=tollgate_logins_total")).result.length > 0, 20_000);
  const { groups } = await ask("/api/v1/rules");
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 15);
  await until(async () => {
    const { groups } = await ask("/api/v1/rules");
    return groups.flatMap((group) => group.rules).every((rule) => rule.health === "ok");
  }, 20_000);
  // Before the first scrape there was no issuer to be seen, and that may still be pending.
  const firing = (await ask("/api/v1/alerts")).alerts.filter((alert) => alert.state === "firing");
  assert.deepEqual(firing, [], "nothing is wrong on a new machine");
});

test("what_is_logged_of_a_request_names_the_request_and_its_trace", async () => {
  const post = (path, body, more = {}) => fetch(url(3001, `/api/v1/auth${path}`), {
    method: "POST",
    headers: { "content-type": "application/json", ...more },
    body: JSON.stringify(body),
  });
  const { refreshToken: first } = await (await post("/login", { email: "ada@example.com", password: "correct horse battery" })).json();
  // A client that lost an answer may show one of the last few again; this one is older than those.
  let token = first;
  for (let n = 0; n < 36; n += 1) {
    token = (await (await post("/refresh", { refreshToken: token })).json()).refreshToken;
  }
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const reused = await post("/refresh", { refreshToken: first }, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  assert.equal(reused.status, 401);
  const line = () => readLog("tollgate").find((line) => line.message?.includes("used again"));
  await until(async () => line() !== undefined, 5_000);
  assert.equal(line().span.trace_id, trace);
  assert.equal(line().span.id, reused.headers.get("x-request-id"));
});

test("health_check_of_the_image_tells_an_issuer_that_answers_from_one_that_does_not", () => {
  const check = JSON.parse(read("deploy/Dockerfile").match(/CMD (\["bash".*\])/)[1]);
  const at = (port) => spawnSync(check[0], check.slice(1).map((word) => word.replaceAll("3001", String(port)))).status;
  assert.equal(at(ports[3001]), 0);
  assert.notEqual(at(ports[9090]), 0, "Prometheus has no /health");
  assert.notEqual(at(1), 0, "nobody listens");
});

/** Every command of the first part of the page, in its order, in one shell. */
function script() {
  const part = page.split("\n## ").find((text) => text.startsWith("On a Debian machine"));
  const blocks = [...part.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands);
  assert.ok(blocks.length >= 9);
  return `set -euo pipefail\n${blocks.map(here).join("\n")}`;
}

/** The same text for this machine: folders of its own, free ports, and a scrape each second. */
function here(text) {
  const placed = text.replaceAll(/(?<![\w./-])\/(etc|var|usr\/local)\//g, `${machine}/$1/`);
  const timed = placed.replaceAll("_interval: 15s", "_interval: 1s");
  return PORTS.reduce((text, port) => text.replaceAll(new RegExp(`\\b${port}\\b`, "g"), ports[port]), timed);
}

/** What Debian's packages leave behind, as far as the page builds upon it. */
function prepare() {
  const folders = ["bin", "run", "etc/postgresql/15/main/conf.d", "etc/pgbouncer", "etc/redis", "etc/prometheus", "etc/systemd/system",
    "usr/local/bin", "usr/local/sbin", "var/lib/postgresql/15", "var/lib/prometheus", "var/log/postgresql", "var/run/postgresql",
    "checkout/target/release", "checkout/deploy/prometheus"];
  for (const folder of folders) mkdirSync(join(machine, folder), { recursive: true });
  copyFileSync(process.env.TOLLGATE_BIN, join(machine, "checkout/target/release/tollgate"));
  copyFileSync(path("deploy/prometheus/rules.yml"), join(machine, "checkout/deploy/prometheus/rules.yml"));
  writeFileSync(join(machine, "etc/redis/redis.conf"), `bind 127.0.0.1\nport ${ports[6379]}\ndaemonize no\ndir ${machine}/run\n`);
  for (const [name, text] of Object.entries(PLAYED)) {
    writeFileSync(join(machine, "bin", name), `#!/bin/bash\nset -eu\n${text}`);
    chmodSync(join(machine, "bin", name), 0o755);
  }
  if (process.getuid() === 0) giveAway(machine);
  const made = shell(`
    initdb --pgdata "$DATA" --username postgres --auth-local trust --auth-host scram-sha-256 --no-sync >/dev/null
    cat >> "$DATA/postgresql.conf" <<EOF
include_dir '${machine}/etc/postgresql/15/main/conf.d'
port = ${ports[5432]}
unix_socket_directories = '${machine}/var/run/postgresql'
fsync = off
EOF
    pg_ctl start --silent --pgdata "$DATA" --log "$MACHINE/run/postgresql.log" >/dev/null`);
  assert.equal(made.status, 0, made.stderr);
}

/** PostgreSQL does not run as root, and neither should anything else here. */
function giveAway(folder) {
  chownSync(folder, NOBODY, NOBODY);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = join(folder, entry.name);
    if (entry.isDirectory()) giveAway(name);
    else chownSync(name, NOBODY, NOBODY);
  }
}

/** Runs commands as somebody without rights, with what is played before what is there. */
function shell(commands) {
  const own = ["bin", "usr/local/bin", "usr/local/sbin"].map((folder) => join(machine, folder));
  const env = {
    PATH: [...own, postgresFolder(), process.env.PATH, "/usr/sbin"].join(":"),
    HOME: machine,
    MACHINE: machine,
    DATA: join(machine, "var/lib/postgresql/15/main"),
    PGHOST: join(machine, "var/run/postgresql"),
    PGPORT: String(ports[5432]),
    PROMETHEUS_PORT: String(ports[9090]),
    LC_ALL: "C.UTF-8",
  };
  const who = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  return spawnSync("bash", ["-c", commands], { cwd: join(machine, "checkout"), env, encoding: "utf8", ...who });
}

function postgresFolder() {
  const folders = [process.env.TOLLGATE_POSTGRES_BIN, "/usr/lib/postgresql/15/bin"];
  return folders.find((folder) => folder && existsSync(join(folder, "initdb"))) ?? dirname(process.execPath);
}

const url = (port, path) => `http://127.0.0.1:${ports[port]}${path}`;

const readLog = (name) =>
  readFileSync(join(machine, "run", `${name}.log`), "utf8").split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

/** What the servers said, for a failure. */
function logs() {
  const files = readdirSync(join(machine, "run")).filter((name) => name.endsWith(".log"));
  return files.map((name) => `== ${name}\n${readFileSync(join(machine, "run", name), "utf8").slice(-2_000)}`).join("\n");
}

/** The process ids of what `systemctl` started, but for PostgreSQL. */
function started() {
  const files = readdirSync(join(machine, "run")).filter((name) => name.endsWith(".pid"));
  return files.map((name) => Number(readFileSync(join(machine, "run", name), "utf8")));
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
