export { VerifyError } from "../errors.mjs";
export { createEdgeVerifier } from "../edge/verifier.mjs";
