import { readFileSync } from "node:fs";
import { nodeHost } from "../hosts/node.mjs";
import { verifierFor } from "../verifier.mjs";

export { VerifyError } from "../errors.mjs";
export const createVerifier = verifierFor(
  nodeHost({
    fast: () => readFileSync(new URL("./verifier.fast.wasm", import.meta.url)),
    plain: () => readFileSync(new URL("./verifier.wasm", import.meta.url)),
  }),
);
