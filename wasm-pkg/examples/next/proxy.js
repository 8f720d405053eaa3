// Before Next 16 this file is called middleware.js, and what it exports `middleware`.

import { middleware } from "./lib/tollgate.js";

export const proxy = middleware;
export const config = { matcher: "/api/:path*" };
