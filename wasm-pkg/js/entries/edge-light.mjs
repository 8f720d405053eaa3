import { host } from "../hosts/edge_light.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = verifierFor(host);
