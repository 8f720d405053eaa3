import { onServers } from "../hosts/runtimes.mjs";
import { webcryptoVerifierFor } from "../webcrypto/verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = webcryptoVerifierFor(onServers);
