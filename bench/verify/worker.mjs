/** In workerd: verifies as many tokens as the request says. Its clock stands still meanwhile. */

import { contest } from "./contest.mjs";
import fixtures from "verify-fixtures";

let contestants;

export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    contestants ??= await contest(fixtures);
    const run = contestants[searchParams.get("name")];
    return new Response(String(await run(Number(searchParams.get("n")))));
  },
};
