// node init.mjs TOKEN: the program gets hold of the module itself.

import { readFileSync } from "node:fs";
import { createVerifier, initSync, VerifyError } from "@tollgate/verifier/init";
import { policy } from "./settings.mjs";

initSync(readFileSync(new URL(import.meta.resolve("@tollgate/verifier/verifier.wasm"))));
const verifier = createVerifier(policy);
try {
  const claims = await verifier.verify(process.argv[2]);
  console.log(`accepted: ${claims.sub}`);
} catch (error) {
  if (!(error instanceof VerifyError)) throw error;
  console.log(`refused: ${error.code}`);
}
