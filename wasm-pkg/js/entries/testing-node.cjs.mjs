import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nodeHost } from "../hosts/node.mjs";
import { signatureVerifierFor } from "../testing.mjs";

export const verifySignature = signatureVerifierFor(
  nodeHost({
    fast: () => readFileSync(join(__dirname, "verifier.fast.wasm")),
    plain: () => readFileSync(join(__dirname, "verifier.wasm")),
  }),
);
export { verifySignature as verifySignatureWithWebCrypto } from "../webcrypto/ed25519.mjs";
