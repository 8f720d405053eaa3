// An issuer, a backend and a gateway between them, for one test file.

import { startBackend } from "./backend.mjs";
import { startGateway } from "./gateway.mjs";
import { startIssuer } from "./issuer.mjs";

/** Starts all three. `toml` writes the configuration, given the issuer and the backend. */
export async function startWorld(toml, options = {}) {
  const [issuer, backend] = await Promise.all([startIssuer(), startBackend()]);
  await options.prepare?.(issuer);
  const gateway = await startGateway({ toml: toml({ issuer, backend }), ...options.gateway });
  return {
    issuer,
    backend,
    gateway,
    /** Calls the gateway; `token` goes where it belongs. */
    call: (path, { token, headers = {}, ...init } = {}) =>
      fetch(`${gateway.url}${path}`, {
        redirect: "manual",
        headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
        ...init,
      }),
    async close() {
      await gateway.close();
      await Promise.all([issuer.close(), backend.close()]);
    },
  };
}

/** `[issuer]` and one protected route, which most tests need no more than. */
export const oneRoute = ({ issuer, backend }, route = "", jwks = "") => `
  [issuer]
  url = "${issuer.url}"
  audience = "tollgate"
  ${jwks}
  [[route]]
  id = "api"
  path = "/api/*"
  methods = ["GET", "POST"]
  backend = { url = "${backend.url}", trust = "network" }
  ${route}`;

/** Waits for something that another process is about to do. */
export async function eventually(look) {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The code of a problem document, with its status. */
export async function code(response) {
  const type = response.headers.get("content-type");
  const text = await response.text();
  return type === "application/problem+json" ? `${response.status} ${JSON.parse(text).code}` : `${response.status}`;
}
