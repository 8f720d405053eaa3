/** The gateway's work with headers and answers, and the claims believed as they came. */

import { bearer, forward } from "./work.mjs";

export default {
  fetch(request) {
    const found = bearer(request);
    if (found.refusal) return found.refusal;
    const payload = found.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return forward(request, found, JSON.parse(atob(payload)));
  },
};
