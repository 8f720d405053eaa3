import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nodeHost } from "../hosts/node.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = verifierFor(
  nodeHost({
    fast: () => readFileSync(join(__dirname, "verifier.fast.wasm")),
    plain: () => readFileSync(join(__dirname, "verifier.wasm")),
  }),
);
