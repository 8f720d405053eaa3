// node webcrypto.mjs TOKEN: no WebAssembly, for pages that may not compile any.

import { createVerifier, VerifyError } from "@tollgate/verifier/webcrypto";
import { policy } from "./settings.mjs";

const verifier = createVerifier(policy);
try {
  const claims = await verifier.verify(process.argv[2]);
  console.log(`accepted: ${claims.sub}`);
} catch (error) {
  if (!(error instanceof VerifyError)) throw error;
  console.log(`refused: ${error.code}`);
}
