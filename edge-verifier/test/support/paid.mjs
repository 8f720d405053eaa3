// A gateway that charges: the real issuer with a wire between that a test can cut, a backend that
// answers as its path says, and a service of the app `shop`.

import { createServer, request as ask } from "node:http";
import { echoSocket } from "./backend.mjs";
import { startGateway } from "./gateway.mjs";
import { startTollgate, until } from "./tollgate.mjs";

export const BONUS = 1_000;

/** Starts all four. `routes` are those of edge.toml; `secret` replaces the service's. */
export async function startPaid(routes, { variables = {}, ...gateway } = {}) {
  const issuer = await startTollgate({ CREDITS_SIGNUP_BONUS: `${BONUS}`, CREDITS_DAILY_FREE: "0", ...variables });
  expect(issuer.run("app", "create", "shop", "--name", "Shop"));
  const wire = await startWire(issuer.url);
  const backend = await startBackend();
  const secret = makeServiceToken(issuer);
  const toml = `
    [issuer]
    url = "${wire.url}"
    iss = "${issuer.url}"
    audience = "tollgate"
    [defaults]
    methods = ["GET", "POST"]
    app_id = "shop"
    timeout_ms = 2000
    cors = { origins = ["https://app.example"], credentials = true }
    backend = { url = "${backend.url}", trust = "network", assertion = false }
    ${routes}`;
  const open = (options = {}) =>
    startGateway({ toml, env: secretBinding(secret), ...gateway, ...options });
  const world = {
    issuer,
    wire,
    backend,
    secret,
    gateway: await open(),
    open,
    /** Calls the gateway as somebody. */
    call: (path, user, { headers = {}, ...init } = {}) =>
      fetch(`${world.gateway.url}${path}`, {
        redirect: "manual",
        headers: { authorization: `Bearer ${user.token}`, ...headers },
        ...init,
      }),
    /** Somebody new, with a thousand credits. */
    async user(name) {
      const { status } = await issuer.register(name);
      if (status !== 201) throw new Error(`register: ${status}`);
      const { accessToken: token } = await issuer.login(name);
      const get = async (path) => {
        const headers = { authorization: `Bearer ${token}` };
        return (await fetch(`${issuer.url}/api/v1/credits/${path}`, { headers })).json();
      };
      return {
        token,
        balance: () => get("balance"),
        transactions: () => get("transactions?limit=200"),
        /** Waits until nothing is held, and says what was spent. */
        async settled(withinMs = 5_000) {
          await until(async () => (await get("balance")).held === 0, withinMs);
          const { balance, totalSpent } = await get("balance");
          if (balance + totalSpent !== BONUS) throw new Error(`${balance} and ${totalSpent} are not ${BONUS}`);
          return totalSpent;
        },
      };
    },
    async close() {
      await world.gateway.close();
      await Promise.all([wire.close(), backend.close()]);
      await issuer.close();
    },
  };
  return world;
}

/** A new credential of a service of `shop`. */
export function makeServiceToken(issuer) {
  const made = issuer.run("service-token", "create", "--name", "gateway", "--app", "shop", "--scope", "credits:hold", "--json");
  return JSON.parse(expect(made)).secret;
}

export const secretBinding = (value) => ({ EDGE_SERVICE_TOKEN: { type: "text", value } });

function expect({ status, stdout, stderr }) {
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/**
 * A wire to the issuer. `lose(path, n)` performs the next requests whose path matches and tells
 * nobody what came of them; `hold(path)` keeps them until they are let through; `cut` cuts it.
 */
async function startWire(target) {
  const wire = { seen: [], isCut: false };
  let losing = { path: /^$/, n: 0 };
  let holding = { path: /^$/, let: Promise.resolve() };
  const server = createServer(async (request, response) => {
    const body = await Array.fromAsync(request);
    if (wire.isCut) return request.socket.destroy();
    const credits = request.url.includes("/credits/");
    if (credits) wire.seen.push({ path: request.url, key: request.headers["idempotency-key"] });
    if (holding.path.test(request.url)) await holding.let;
    const through = ask(new URL(request.url, target), { method: request.method, headers: request.headers }, (answer) => {
      if (losing.n > 0 && losing.path.test(request.url)) {
        losing.n -= 1;
        answer.resume();
        answer.on("end", () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    through.on("error", () => request.socket.destroy());
    through.end(Buffer.concat(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(wire, {
    url: `http://127.0.0.1:${server.address().port}`,
    lose: (path, n) => (losing = { path, n }),
    hold(path) {
      const { promise, resolve } = Promise.withResolvers();
      holding = { path, let: promise };
      return () => {
        holding = { path: /^$/, let: Promise.resolve() };
        resolve();
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Answers `…/503` with 503, `…/hang` never, `…/cut` by hanging up; `delivered` counts successes. */
async function startBackend() {
  const backend = { asked: 0, delivered: 0 };
  const server = createServer(async (request, response) => {
    backend.asked += 1;
    for await (const _ of request);
    const { pathname, searchParams } = new URL(request.url, "http://backend");
    const wanted = pathname.split("/").at(-1);
    await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("after") ?? 0)));
    if (wanted === "hang") return;
    if (wanted === "cut") return request.socket.destroy();
    const status = Number(wanted);
    backend.delivered += status < 400 ? 1 : 0;
    response.writeHead(status, { "content-type": "text/plain", "x-credits-charged": "0" }).end(`${status}`);
  });
  // The server forgets connections that have become sockets of another kind.
  const sockets = new Set();
  server.on("upgrade", (request, socket) => {
    backend.asked += 1;
    sockets.add(socket);
    echoSocket(request, socket);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(backend, {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
