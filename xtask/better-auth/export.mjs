// Signs people up in a real Better Auth on SQLite and prints its tables as `tollgate user import`
// reads them. BETTER_AUTH_PACKAGES names the node_modules that hold it.
import { createRequire } from "node:module";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.BETTER_AUTH_PACKAGES, "x.js"));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { betterAuth } = await load("better-auth");
const { getMigrations } = await load("better-auth/db/migration").catch(() => load("better-auth/db"));

const database = new DatabaseSync(":memory:");
const options = {
  database,
  baseURL: "http://127.0.0.1:3999",
  secret: "a secret of this script alone, of enough length",
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
const auth = betterAuth(options);
for (const [name, email, password] of [
  ["Ada", "ada@example.com", "correct horse battery"],
  ["Bob", "bob@example.com", "pässwörter sind länger"],
  ["Eve", "eve@example.com", "ﬁne ligature 2026"],
]) {
  await auth.api.signUpEmail({ body: { name, email, password } });
}
for (const table of ["user", "account"]) {
  for (const row of database.prepare(`select * from "${table}"`).all()) {
    console.log(JSON.stringify({ [table]: row }));
  }
}
