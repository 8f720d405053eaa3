// With the module inside: what Next bundles for its server finds no file beside it.
import { createVerifier } from "@tollgate/verifier/inline";
import { tollgate } from "@tollgate/verifier/next";

const issuer = process.env.TOLLGATE_URL ?? "http://127.0.0.1:3001";

const verifier = createVerifier({
  issuer,
  audience: "tollgate",
  jwksUri: `${issuer}/.well-known/jwks.json`,
  revocationsUri: `${issuer}/.well-known/revocations`,
});

export const { middleware, handler, auth } = tollgate({
  verifier,
  credits: { baseUrl: issuer, appId: "examples" },
});
