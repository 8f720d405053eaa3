// node node.cjs TOKEN

const { createVerifier, VerifyError } = require("@tollgate/verifier");

import("./settings.mjs").then(async ({ policy }) => {
  const verifier = createVerifier(policy);
  try {
    const claims = await verifier.verify(process.argv[2]);
    console.log(`accepted: ${claims.sub}`);
  } catch (error) {
    if (!(error instanceof VerifyError)) throw error;
    console.log(`refused: ${error.code}`);
  }
});
