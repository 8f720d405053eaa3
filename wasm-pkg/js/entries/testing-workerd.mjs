import { host } from "../hosts/workerd.mjs";
import { signatureVerifierFor } from "../testing.mjs";

export const verifySignature = signatureVerifierFor(host);
export { verifySignature as verifySignatureWithWebCrypto } from "../webcrypto/ed25519.mjs";
