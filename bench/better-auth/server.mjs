// The peer of `cargo xtask bench refresh`, `jwks` and `memory`: Better Auth as its documentation sets
// it up, with access tokens signed by Ed25519 and sessions shown as bearer tokens. PostgreSQL is where
// PGHOST and its like say. BETTER_AUTH_PACKAGES names the node_modules that hold it.
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.BETTER_AUTH_PACKAGES, "x.js"));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { betterAuth } = await load("better-auth");
const { jwt, bearer } = await load("better-auth/plugins");
const { toNodeHandler } = await load("better-auth/node");
const { getMigrations } = await load("better-auth/db/migration");
const { default: pg } = await load("pg");

const [host, port] = process.env.LISTEN_ADDR.split(":");
const auth = betterAuth({
  baseURL: `http://${process.env.LISTEN_ADDR}`,
  secret: "a secret of this script alone, of enough length",
  database: new pg.Pool({ max: 20 }), // as many connections as the issuer has
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false }, // the issuer's are off in development, too
  logger: { level: "error" },
  telemetry: { enabled: false },
  plugins: [jwt({ jwks: { keyPairConfig: { alg: "EdDSA", crv: "Ed25519" } } }), bearer()],
});
const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
http.createServer(toNodeHandler(auth)).listen(Number(port), host);
