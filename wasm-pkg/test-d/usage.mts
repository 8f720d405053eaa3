// What must compile, and on marked lines what must not.

import { createVerifier, VerifyError } from "@tollgate/verifier";
import type {
  AccessClaims,
  KeySetCopy,
  Verifier,
  VerifyErrorCode,
  VerifierState,
} from "@tollgate/verifier";
import { createEdgeVerifier, type EdgeAssertion } from "@tollgate/verifier/edge";
import { verifySignature } from "@tollgate/verifier/testing";

const jwksUri = "https://id.example.com/.well-known/jwks.json";
const jwks = { keys: [{ kty: "OKP", crv: "Ed25519", kid: "a", x: "b" }] };
const policy = { issuer: "https://id.example.com", audience: "orders" };

const verifier: Verifier = createVerifier({ ...policy, jwksUri });
createVerifier({ ...policy, jwks });
createVerifier({ ...policy, jwksUri: new URL(jwksUri), revocationsUri: new URL(jwksUri) });
createVerifier({ issuer: "a", audience: ["orders", "billing"] as const, jwksUri, leeway: 5 });
createVerifier({ ...policy, jwksUri, clock: () => 0, fetch });

const edge = createEdgeVerifier({ audience: "orders", jwksUri });
createEdgeVerifier({ audience: ["orders"], issuer: "https://edge.example.com", jwks, leeway: 5 });
const assertion: Promise<EdgeAssertion> = edge.verify("a.b.c", new Request("https://a.example/"));
assertion.then(({ sub, htu }) => (sub ?? "").length + htu.length);
// @ts-expect-error: no audience
createEdgeVerifier({ jwksUri });
// @ts-expect-error: no keys
createEdgeVerifier({ audience: "orders" });
// @ts-expect-error: the request is what it is compared with
edge.verify("a.b.c");

// @ts-expect-error: no audience
createVerifier({ issuer: "https://id.example.com", jwksUri });
// @ts-expect-error: no issuer
createVerifier({ audience: "orders", jwksUri });
// @ts-expect-error: no keys
createVerifier(policy);
// @ts-expect-error: two places to take keys from
createVerifier({ ...policy, jwks, jwksUri });
// @ts-expect-error: a key set as text
createVerifier({ ...policy, jwks: "{}" });
// @ts-expect-error: misspelt
createVerifier({ ...policy, jwksUri, audiance: "orders" });
// @ts-expect-error: an option that nothing here has
createVerifier({ ...policy, jwksUri, algorithms: ["EdDSA"] });
// @ts-expect-error: a leeway in words
createVerifier({ ...policy, jwksUri, leeway: "30s" });
// @ts-expect-error: a clock that is none
createVerifier({ ...policy, jwksUri, clock: Date.now() });
// @ts-expect-error: nothing
createVerifier();

const claims: AccessClaims = await verifier.verify("token");
const same: AccessClaims = verifier.verifySync("token");
const subject: string = claims.sub;
const role: string | undefined = same.role;
const until: number = claims.exp;
const audience: string | readonly string[] = claims.aud;
const theirs: unknown = claims["https://example.com/team"];
// @ts-expect-error: claims are read, not written
claims.role = "admin";
// @ts-expect-error: nobody has checked what is in a claim of others
const team: string = claims["https://example.com/team"];
// @ts-expect-error: verify has to be awaited
const early: AccessClaims = verifier.verify("token");
// @ts-expect-error: a header may be absent
await verifier.verify(new Headers().get("authorization"));

const { verify, ready } = verifier;
await ready();
await verify("token");

const copy: KeySetCopy | null = verifier.exportJwks();
if (copy) verifier.importJwks(copy);
// @ts-expect-error: there may be none yet
verifier.importJwks(verifier.exportJwks());

const state: VerifierState = verifier.state();
if (state.keys.state === "degraded")
  console.log(state.keys.ageSeconds ?? 0, state.revocations?.seq);
// @ts-expect-error: no such state
if (state.keys.state === "stale") console.log();

function statusOf(error: unknown): number {
  if (!(error instanceof VerifyError)) throw error;
  const code: VerifyErrorCode = error.code;
  switch (code) {
    case "keys_unavailable":
      console.log(error.retryAfter);
      return 503;
    case "missing_claim":
    case "invalid_claim":
      console.log(error.claim);
      return 401;
    // @ts-expect-error: no such code
    case "token_expired":
      return 401;
    default:
      return 401;
  }
}
// @ts-expect-error: only a verifier makes them
new VerifyError("expired");

const good: boolean = await verifySignature(
  new Uint8Array(32),
  new Uint8Array(),
  new Uint8Array(64),
);

console.log(subject, role, until, audience, theirs, team, early, good, statusOf);
