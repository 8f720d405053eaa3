import { inlineHost } from "../hosts/inline.mjs";
import { inBrowsers } from "../hosts/runtimes.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = verifierFor(inlineHost(inBrowsers));
