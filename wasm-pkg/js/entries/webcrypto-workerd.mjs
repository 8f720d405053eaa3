import * as workers from "cloudflare:workers";
import { webcryptoVerifierFor } from "../hosts/webcrypto.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = webcryptoVerifierFor({
  requests: {},
  sendsEntityTags: true,
  keepAlive: (work) => workers.waitUntil?.(work),
  // A timer dies with the request that set it.
  hasTimers: false,
});
