import { handler } from "../../../lib/tollgate.js";

// The same in Next's edge runtime, where the entry for it is chosen.
export const runtime = "edge";

export const GET = handler((request, { auth }) => Response.json(auth.user));
