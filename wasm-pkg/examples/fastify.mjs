import Fastify from "fastify";
import { createVerifier } from "@tollgate/verifier";
import { charge, tollgate } from "@tollgate/verifier/fastify";
import { credits, policy, port } from "./settings.mjs";

const verifier = createVerifier(policy);
const app = Fastify();

app.get("/health", () => "ok");

// Authentication alone, for every route of the scope.
app.register(async (api) => {
  await api.register(tollgate, { verifier });
  api.get("/me", (request) => request.auth.user);
});
app.register(async (api) => {
  await api.register(tollgate, { verifier, roles: ["admin"] });
  api.get("/admin", () => ({}));
});
app.register(async (api) => {
  await api.register(tollgate, { verifier, required: false });
  api.get("/maybe", (request) => ({ user: request.auth?.user ?? null }));
});

// Authentication with credits.
app.register(async (api) => {
  await api.register(tollgate, { verifier, credits });
  api.get("/balance", (request) => request.credits.balance());
  api.post("/spend", async (request) => {
    const { balance } = await request.credits.use({ amount: 3, description: "Three of them" });
    return { balance };
  });
  const report = { preHandler: charge({ amount: 10, description: "A report" }) };
  api.post("/report", report, () => ({ report: "done" }));
  api.post("/broken", report, () => {
    throw new Error("broken");
  });
  api.post(
    "/dear",
    { preHandler: charge({ amount: 1_000_000, description: "A castle" }) },
    () => ({}),
  );
});

await app.listen({ port, host: "127.0.0.1" });
console.log(`ready on ${port}`);
