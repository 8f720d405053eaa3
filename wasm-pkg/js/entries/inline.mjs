import { inlineHost } from "../hosts/inline.mjs";
import { onServers } from "../hosts/runtimes.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = verifierFor(inlineHost(onServers));
