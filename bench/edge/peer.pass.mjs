/** Passes everything on and does nothing else: what the runtime itself costs. */

import { backend } from "bench-stage";

export default {
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    return fetch(new Request(`${backend}${pathname}${search}`, request));
  },
};
