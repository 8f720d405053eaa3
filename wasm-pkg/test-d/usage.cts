// The same package by `require`.

import verifiers = require("@tollgate/verifier");
import testing = require("@tollgate/verifier/testing");

const verifier: verifiers.Verifier = verifiers.createVerifier({
  issuer: "https://id.example.com",
  audience: "orders",
  jwksUri: "https://id.example.com/.well-known/jwks.json",
});
// @ts-expect-error: no audience
verifiers.createVerifier({
  issuer: "https://id.example.com",
  jwksUri: "https://id.example.com/jwks",
});

const claims: Promise<verifiers.AccessClaims> = verifier.verify("token");
const good: Promise<boolean> = testing.verifySignature(
  new Uint8Array(),
  new Uint8Array(),
  new Uint8Array(),
);
console.log(claims, good);
