import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { createVerifier } from "@tollgate/verifier";
import { charge, tollgate } from "@tollgate/verifier/hono";
import { credits, policy, port } from "./settings.mjs";

const verifier = createVerifier(policy);
const app = new Hono();

app.get("/health", (c) => c.text("ok"));

// Authentication alone.
app.get("/me", tollgate({ verifier }), (c) => c.json(c.var.auth.user));
app.get("/admin", tollgate({ verifier, roles: ["admin"] }), (c) => c.json({}));
app.get("/maybe", tollgate({ verifier, required: false }), (c) =>
  c.json({ user: c.var.auth?.user ?? null }),
);

// Authentication with credits.
const paid = tollgate({ verifier, credits });
app.get("/balance", paid, async (c) => c.json(await c.var.credits.balance()));
app.post("/spend", paid, async (c) => {
  const { balance } = await c.var.credits.use({ amount: 3, description: "Three of them" });
  return c.json({ balance });
});
const report = charge({ amount: 10, description: "A report" });
app.post("/report", paid, report, (c) => c.json({ report: "done" }));
app.post("/broken", paid, report, () => {
  throw new Error("broken");
});
app.post("/dear", paid, charge({ amount: 1_000_000, description: "A castle" }), (c) => c.json({}));

serve({ fetch: app.fetch, port, hostname: "127.0.0.1" }, () => console.log(`ready on ${port}`));
