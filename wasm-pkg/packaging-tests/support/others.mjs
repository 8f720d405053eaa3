/**
 * Other libraries, each set up for our tokens as its documentation says: with the issuer, the
 * audience, the algorithm and the key set. What else they can be told to check is left as it is
 * by default.
 */

import { createPublicKey } from "node:crypto";
import { JwtVerifier } from "aws-jwt-verify";
import { createVerifier as createFastVerifier } from "fast-jwt";
import { verifyWithJwks } from "hono/jwt";
import { createLocalJWKSet, jwtVerify } from "jose";

/**
 * By the library's name: resolves when it accepts, rejects when it refuses.
 *
 * @type {Record<string, (token: string, jwks: { keys: any[] }, policy: { issuer: string, audience: string }) => Promise<unknown>>}
 */
export const OTHERS = {
  jose: (token, jwks, { issuer, audience }) =>
    jwtVerify(token, createLocalJWKSet(jwks), { issuer, audience, algorithms: ["EdDSA"] }),

  "fast-jwt": (token, jwks, { issuer, audience }) =>
    createFastVerifier({
      key: async ({ header }) => pem(jwks, header.kid),
      algorithms: ["EdDSA"],
      allowedIss: issuer,
      allowedAud: audience,
    })(token),

  // Its default for `typ` refuses every access token of RFC 9068; it has to be told this one.
  "hono/jwk": (token, { keys }, { issuer, audience }) =>
    verifyWithJwks(token, {
      keys,
      allowedAlgorithms: ["EdDSA"],
      verification: { iss: issuer, aud: audience, typ: "at+jwt" },
    }),

  // Without waiting, so that it fetches nothing for keys it does not know.
  "aws-jwt-verify": async (token, jwks, { issuer, audience }) => {
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri: `${issuer}/jwks.json` });
    verifier.cacheJwks(jwks);
    return verifier.verifySync(token);
  },
};

/**
 * @param {{ keys: any[] }} jwks
 * @param {string} kid
 */
function pem({ keys }, kid) {
  const key = keys.find((key) => key.kid === kid);
  if (!key) throw new Error("no such key");
  return createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" });
}
