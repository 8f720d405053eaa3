// node inline.mjs TOKEN: the module is inside of the program, for bundlers that lose files.

import { createVerifier, VerifyError } from "@tollgate/verifier/inline";
import { policy } from "./settings.mjs";

const verifier = createVerifier(policy);
try {
  const claims = await verifier.verify(process.argv[2]);
  console.log(`accepted: ${claims.sub}`);
} catch (error) {
  if (!(error instanceof VerifyError)) throw error;
  console.log(`refused: ${error.code}`);
}
