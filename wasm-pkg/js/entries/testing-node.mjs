import { readFileSync } from "node:fs";
import { nodeHost } from "../hosts/node.mjs";
import { signatureVerifierFor } from "../testing.mjs";

export const verifySignature = signatureVerifierFor(
  nodeHost({
    fast: () => readFileSync(new URL("./verifier.fast.wasm", import.meta.url)),
    plain: () => readFileSync(new URL("./verifier.wasm", import.meta.url)),
  }),
);
export { verifySignature as verifySignatureWithWebCrypto } from "../webcrypto/ed25519.mjs";
