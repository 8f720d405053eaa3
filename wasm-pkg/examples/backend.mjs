// A backend without a framework.

import { createServer } from "node:http";
import { createVerifier } from "@tollgate/verifier";
import { createGuard, fromNode, Refusal } from "@tollgate/verifier/backend";
import { credits, policy, port } from "./settings.mjs";

const guard = createGuard({ verifier: createVerifier(policy), credits });

const routes = {
  "GET /me": ({ user }) => user,
  "GET /balance": ({ credits }) => credits.balance(),
  "POST /spend": async ({ credits }) => {
    const { balance } = await credits.use({ amount: 3, description: "Three of them" });
    return { balance };
  },
};

const server = createServer(async (request, response) => {
  try {
    const auth = await guard.authenticate(fromNode(request));
    const route = routes[`${request.method} ${request.url}`];
    if (!route) return response.writeHead(404).end();
    const body = JSON.stringify(await route(auth));
    response.writeHead(200, { "content-type": "application/json" }).end(body);
  } catch (error) {
    if (error instanceof Refusal) {
      return response.writeHead(error.status, error.headers).end(JSON.stringify(error.problem));
    }
    response.writeHead(500).end();
  }
});
server.listen(port, "127.0.0.1", () => console.log(`ready on ${port}`));
