// The integrations as a TypeScript program uses them, and on marked lines as it must not.

import { Controller, Get, Module, Post } from "@nestjs/common";
import { createVerifier } from "@tollgate/verifier";
import {
  createGuard,
  fromNode,
  fromWeb,
  Refusal,
  type Auth,
  type Credits,
  type User,
} from "@tollgate/verifier/backend";
import {
  AuthError,
  cookieStorage,
  createAuthClient,
  memoryStorage,
  type AuthClient,
} from "@tollgate/verifier/client";
import { charge as chargeExpress, tollgate as tollgateExpress } from "@tollgate/verifier/express";
import { charge as chargeFastify, tollgate as tollgateFastify } from "@tollgate/verifier/fastify";
import { charge as chargeHono, tollgate as tollgateHono } from "@tollgate/verifier/hono";
import { createVerifier as createGiven, init, initSync } from "@tollgate/verifier/init";
import { createVerifier as createInline } from "@tollgate/verifier/inline";
import {
  Charge,
  CurrentCredits,
  CurrentUser,
  Public,
  Roles,
  TollgateModule,
} from "@tollgate/verifier/nestjs";
import { tollgate as tollgateNext } from "@tollgate/verifier/next";
import { createVerifier as createWithoutModule } from "@tollgate/verifier/webcrypto";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import { createServer } from "node:http";

const policy = {
  issuer: "https://id.example.com",
  audience: "orders",
  jwksUri: "https://id.example.com/jwks",
};
const verifier = createVerifier(policy);
const credits = { baseUrl: "https://id.example.com", appId: "orders" };

// Every kind of verifier will do.
createGuard({ verifier: createInline(policy) });
createGuard({ verifier: createGiven(policy) });
createGuard({ verifier: createWithoutModule(policy) });
// @ts-expect-error: no audience
createWithoutModule({ issuer: policy.issuer, jwksUri: policy.jwksUri });
// @ts-expect-error: WebCrypto cannot but wait
createWithoutModule(policy).verifySync("token");
initSync(new Uint8Array());
await init(fetch("/verifier.wasm"));

// @ts-expect-error: no verifier
createGuard({});
// @ts-expect-error: misspelt
createGuard({ verifier, role: ["admin"] });
// @ts-expect-error: an app must be named
createGuard({ verifier, credits: { baseUrl: "https://id.example.com" } });
// @ts-expect-error: a cookie needs its pages
createGuard({ verifier, cookie: { name: "__Host-token" } });
// @ts-expect-error: a made-up user has an id
createGuard({ verifier, devBypass: {} });

const guard = createGuard({ verifier, credits, roles: ["admin"], required: false });
createServer(async (request) => {
  const auth: Auth | null = await guard.authenticate(fromNode(request));
  // @ts-expect-error: there may be nobody
  console.log(auth.user);
});
const auth = await guard.authenticate(fromWeb(new Request("https://a.example"), "127.0.0.1"));
const email: string | undefined = auth?.user.email;
// @ts-expect-error: who is asking is read, not written
if (auth) auth.user.role = "admin";
// @ts-expect-error: only a guard makes them
new Refusal("missing_token");

const app = express();
app.use("/api", tollgateExpress({ verifier, credits }));
app.get("/me", (request, response) => {
  response.json(request.auth?.user.id);
});
app.post("/", chargeExpress({ amount: 10, description: "A report" }), async (request) => {
  const { balance } = await request.credits!.use({ amount: 1, description: "One" });
  const hold = await request.credits!.hold({ amount: 5 });
  await hold.capture({ amount: 2, final: true });
  // @ts-expect-error: what it is for must be said
  await request.credits!.use({ amount: 1 });
  console.log(balance.toFixed());
});
// @ts-expect-error: what it is for must be said
chargeExpress({ amount: 10 });
// @ts-expect-error: no such time
chargeExpress({ amount: 10, description: "A report", when: "after" });

const fastify = Fastify();
fastify.register(async (api) => {
  await api.register(tollgateFastify, { verifier, credits });
  api.get("/me", (request) => request.auth?.user);
  const price = chargeFastify({
    amount: (request) => request.url.length,
    description: "By length",
  });
  api.post("/", { preHandler: price }, (request) => request.credits?.balance());
});

const hono = new Hono();
hono.get("/me", tollgateHono({ verifier }), (c) => c.json(c.var.auth?.user));
hono.post(
  "/",
  tollgateHono({ verifier, credits }),
  chargeHono({ amount: 1, description: "One" }),
  async (c) => c.json(await c.var.credits.balance()),
);

@Controller()
class AppController {
  @Get("me")
  @Roles("admin")
  me(@CurrentUser() user: User) {
    return user;
  }

  @Public()
  @Get("health")
  health() {
    return "ok";
  }

  @Post()
  @Charge({ amount: 10, description: "A report" })
  report(@CurrentCredits() credits: Credits) {
    return credits.balance();
  }
}

@Module({ imports: [TollgateModule.forRoot({ verifier, credits })], controllers: [AppController] })
export class AppModule {}

const next = tollgateNext({ verifier, credits });
export const proxy = next.middleware;
export const GET = next.handler((request: Request, { auth }) => Response.json(auth.user));
export const POST = next.handler(async (_, { credits }) => Response.json(await credits.balance()), {
  amount: 10,
  description: "A report",
});
const byRoute = next.handler<{ params: Promise<{ id: string }> }>(async (_, { params }) =>
  Response.json((await params).id),
);
// @ts-expect-error: Next cannot tell who is asking
tollgateNext({ verifier, devBypass: { id: "dev" } });

const client: AuthClient = createAuthClient({
  baseUrl: "https://id.example.com",
  storage: localStorage,
});
createAuthClient({ baseUrl: new URL("https://id.example.com"), storage: memoryStorage() });
createAuthClient({
  baseUrl: "https://id.example.com",
  storage: cookieStorage({ get: async () => undefined, set: async () => {} }),
});
// @ts-expect-error: no issuer
createAuthClient({});
createAuthClient({
  baseUrl: "https://id.example.com",
  // @ts-expect-error: a storage that forgets nothing
  storage: { getItem: () => null, setItem() {} },
});

const login = await client.login({ email: "ada@example.com", password: "…" });
// @ts-expect-error: a second factor may come between
console.log(login.user);
if (login.twoFactorRequired)
  await client.finishLogin({ challengeToken: login.challengeToken, code: "123456" });
else console.log(login.user.email);
const token: string | null = await client.accessToken();
const stop: () => void = client.on("signedOut", ({ reason }) => console.log(reason));
// @ts-expect-error: no such event
client.on("logout", () => {});
try {
  await client.refresh();
} catch (error) {
  if (error instanceof AuthError)
    console.log(error.code, error.retryAfter, error.errors?.[0]?.field);
}

console.log(email, token, stop, byRoute);
