import { onServers } from "../hosts/runtimes.mjs";
import { webcryptoVerifierFor } from "../hosts/webcrypto.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = webcryptoVerifierFor(onServers);
