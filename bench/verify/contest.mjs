/**
 * The contestants; the same file in Node, in workerd and in a browser.
 *
 * @typedef {{ jwks: { keys: object[] }, tokens: string[], issuer: string, audience: string }} Fixtures
 */

import { createVerifier } from "@tollgate/verifier";
import * as jose from "jose";

/**
 * Functions that verify n tokens one after the other and say how many were accepted.
 *
 * @param {Fixtures} fixtures
 */
export async function contest({ jwks, tokens, issuer, audience }) {
  const bytes = tokens.map((token) => new TextEncoder().encode(token));
  const decoder = new TextDecoder("latin1");
  // A string that no look-up has hashed before, as it comes out of a request.
  const fresh = (i) => decoder.decode(bytes[i % bytes.length]);

  const verifier = createVerifier({ issuer, audience, jwks });
  await verifier.ready();
  const key = await jose.importJWK(jwks.keys[0], "EdDSA");
  const options = { issuer, audience, typ: "at+jwt", algorithms: ["EdDSA"], clockTolerance: 30 };
  const withJose = async (token) => (await jose.jwtVerify(token, key, options)).payload;

  const known = new Map();
  const withMap = async (token) => {
    const claims = known.get(token);
    if (claims !== undefined && claims.exp + 30 > Date.now() / 1000) return claims;
    const verified = await withJose(token);
    if (known.size >= 4096) known.delete(known.keys().next().value);
    known.set(token, verified);
    return verified;
  };

  /** Each goes through the tokens on its own, so that none comes back before all others have. */
  const counting = (verify, choose) => {
    let next = 0;
    return async (n) => {
      let accepted = 0;
      for (let i = 0; i < n; i += 1) {
        const claims = await verify(fresh(choose(next)));
        next += 1;
        if (claims.sub !== undefined) accepted += 1;
      }
      return accepted;
    };
  };
  const all = (i) => i;
  const few = (i) => i % 64;
  const ours = (token) => verifier.verify(token);
  return {
    "never seen, ours": counting(ours, all),
    "never seen, jose": counting(withJose, all),
    "repeated, ours": counting(ours, few),
    "repeated, jose": counting(withMap, few),
  };
}
