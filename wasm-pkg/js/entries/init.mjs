import { givenHost } from "../hosts/given.mjs";
import { onServers } from "../hosts/runtimes.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export { init, initSync } from "../hosts/given.mjs";
export const createVerifier = verifierFor(givenHost(onServers));
