import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VerifyError } from "../errors.mjs";
import { nodeHost } from "../hosts/node.mjs";
import { verifierFor } from "../verifier.mjs";

const createVerifier = verifierFor(
  nodeHost({
    fast: () => readFileSync(join(__dirname, "verifier.fast.wasm")),
    plain: () => readFileSync(join(__dirname, "verifier.wasm")),
  }),
);

// By hand: what a bundler writes for `export` is a tenth of the file.
module.exports = { createVerifier, VerifyError };
