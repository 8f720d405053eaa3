/** Tokens to verify, of the form and size of the issuer's. */

import { createHash, generateKeyPairSync, sign } from "node:crypto";

/**
 * @param {number} n how many, no two alike
 * @returns {{ jwks: object, tokens: string[], issuer: string, audience: string }}
 */
export function makeTokens(n) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { kty, crv, x } = publicKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url");
  const header = encode({ alg: "EdDSA", typ: "at+jwt", kid });
  const now = Math.floor(Date.now() / 1000);
  const tokens = Array.from({ length: n }, (_, i) => {
    const signed = `${header}.${encode(claims(i, now))}`;
    return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
  });
  return { jwks: { keys: [{ kty, crv, x, kid, use: "sig" }] }, tokens, issuer: ISSUER, audience: AUDIENCE };
}

const claims = (i, now) => ({
  iss: ISSUER,
  sub: `user-${String(i).padStart(16, "0")}`,
  aud: AUDIENCE,
  exp: now + 3500,
  iat: now,
  jti: `token-${String(i).padStart(15, "0")}`,
  email: `somebody.${i}@example.com`,
  email_verified: true,
  role: "user",
  sid: `session-${String(i).padStart(13, "0")}`,
});

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

const ISSUER = "https://id.example.com";
const AUDIENCE = "orders";
