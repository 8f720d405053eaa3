/** The same work, and jose verifies. Keys come from the cache of the data centre, then the issuer. */

import { createLocalJWKSet, jwtVerify } from "jose";
import { audience, issuer } from "bench-stage";
import { bearer, forward, refuse } from "./work.mjs";

const OPTIONS = { issuer, audience, typ: "at+jwt", algorithms: ["EdDSA"], clockTolerance: 30 };
const KEY_SET = `${issuer}/.well-known/jwks.json`;

let keys;

export default {
  async fetch(request, _env, ctx) {
    const found = bearer(request);
    if (found.refusal) return found.refusal;
    keys ??= createLocalJWKSet(await load(ctx));
    let claims;
    try {
      claims = (await jwtVerify(found.token, keys, OPTIONS)).payload;
    } catch {
      return refuse(401, "invalid_token");
    }
    return forward(request, found, claims);
  },
};

async function load(ctx) {
  const copy = await caches.default.match(KEY_SET);
  if (copy) return copy.json();
  const text = await (await fetch(KEY_SET)).text();
  const headers = { "content-type": "application/json", "cache-control": "max-age=3600" };
  ctx.waitUntil(caches.default.put(KEY_SET, new Response(text, { headers })));
  return JSON.parse(text);
}
