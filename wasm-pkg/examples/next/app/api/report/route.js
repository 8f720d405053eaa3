import { handler } from "../../../lib/tollgate.js";

export const GET = handler(async (request, { credits }) => Response.json(await credits.balance()));

export const POST = handler(() => Response.json({ report: "done" }), {
  amount: 10,
  description: "A report",
});
