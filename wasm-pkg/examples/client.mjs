// node client.mjs EMAIL PASSWORD: signs in, asks, refreshes, signs out.

import { AuthError, createAuthClient, memoryStorage } from "@tollgate/verifier/client";
import { issuer } from "./settings.mjs";

const auth = createAuthClient({ baseUrl: issuer, storage: memoryStorage() });
auth.on("refreshed", () => console.log("refreshed"));
auth.on("signedOut", ({ reason }) => console.log(`signed out: ${reason}`));

try {
  const [email, password] = process.argv.slice(2);
  const login = await auth.login({ email, password });
  if (login.twoFactorRequired) throw new Error(`also needed: ${login.methods}`);
  console.log(`signed in: ${login.user.email}`);

  const response = await auth.fetch(`${issuer}/api/v1/credits/balance`);
  console.log(`balance: ${(await response.json()).balance}`);

  await auth.refresh();
  await auth.logout();
} catch (error) {
  if (!(error instanceof AuthError)) throw error;
  console.log(`refused: ${error.code}`);
}
