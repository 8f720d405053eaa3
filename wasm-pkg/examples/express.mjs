import express from "express";
import { createVerifier } from "@tollgate/verifier";
import { charge, tollgate } from "@tollgate/verifier/express";
import { credits, policy, port } from "./settings.mjs";

const verifier = createVerifier(policy);
const app = express();

app.get("/health", (request, response) => response.send("ok"));

// Authentication alone.
app.get("/me", tollgate({ verifier }), (request, response) => response.json(request.auth.user));
app.get("/admin", tollgate({ verifier, roles: ["admin"] }), (request, response) =>
  response.json({}),
);
app.get("/maybe", tollgate({ verifier, required: false }), (request, response) => {
  response.json({ user: request.auth?.user ?? null });
});

// Authentication with credits.
const paid = tollgate({ verifier, credits });
app.get("/balance", paid, async (request, response) =>
  response.json(await request.credits.balance()),
);
app.post("/spend", paid, async (request, response) => {
  const { balance } = await request.credits.use({ amount: 3, description: "Three of them" });
  response.json({ balance });
});
app.post("/report", paid, charge({ amount: 10, description: "A report" }), (request, response) => {
  response.json({ report: "done" });
});
app.post("/broken", paid, charge({ amount: 10, description: "A report" }), () => {
  throw new Error("broken");
});
app.post(
  "/dear",
  paid,
  charge({ amount: 1_000_000, description: "A castle" }),
  (request, response) => {
    response.json({});
  },
);

app.listen(port, "127.0.0.1", () => console.log(`ready on ${port}`));
