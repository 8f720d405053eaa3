import { handler } from "../../../lib/tollgate.js";

export const GET = handler((request, { auth }) => Response.json(auth.user));
