import { handler } from "../../../lib/tollgate.js";

export const POST = handler(() => Response.json({}, { status: 500 }), {
  amount: 10,
  description: "A report",
});
