// Buying credits as a person does: the app asks for a checkout, the browser opens its page and
// clicks. Stripe is the stand-in, reached over HTTP by the issuer as it is run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { startTollgate, until } from "../../../edge-verifier/test/support/tollgate.mjs";
import { openPage } from "../../../wasm-pkg/packaging-tests/support/chromium.mjs";

let issuer;
let stripe;

before(async () => {
  const address = `127.0.0.1:${await freePort()}`;
  issuer = await startTollgate({
    STRIPE_SECRET_KEY: "sk_test_stand_in",
    STRIPE_WEBHOOK_SECRET: "whsec_stand_in",
    STRIPE_API_BASE: `http://${address}`,
    CREDITS_SIGNUP_BONUS: "0",
    CREDITS_DAILY_FREE: "0",
  });
  stripe = await startStripe(address, `${issuer.url}/api/v1/webhooks/stripe`);
});
after(async () => {
  await issuer?.close();
  stripe?.close();
});

test("one click pays, and refund and dispute follow", async (t) => {
  await issuer.register("ada");
  const { accessToken: token } = await issuer.login("ada");
  const ask = async (path) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${issuer.url}/api/v1/credits/${path}`, { headers })).json();
  };
  const balance = async () => (await ask("balance")).balance;
  const becomes = (expected) => until(async () => (await balance()) === expected, 10_000);

  const [small] = await ask("packages");
  assert.equal(small.credits, 500);
  const back = `${issuer.url}/docs`;
  const begun = await issuer.post("/credits/checkout", {
    token,
    body: { packageId: small.id, successUrl: `${back}?session={CHECKOUT_SESSION_ID}`, cancelUrl: back },
  });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  assert.equal(await balance(), 0);

  const url = new URL(begun.body.url);
  const page = await openPage(t, url.origin, url.pathname);
  assert.match(await page.textContent("h1"), /Small package/);
  await screenshot(page, "checkout");
  await Promise.all([page.waitForURL(`${back}?session=cs_test_*`), page.click("#pay")]);
  await becomes(500);
  const [paid] = await ask("purchases");
  assert.equal(paid.status, "paid");

  // Half of it goes back.
  await page.goto(stripe.url);
  await page.click(`button:text-is("Refund half")`);
  await becomes(250);

  // The bank questions the rest: nothing can be spent.
  await page.click(`button:text-is("Dispute")`);
  const use = () => issuer.post("/credits/use", { token, body: { amount: 1, appId: "a", description: "d" } });
  await until(async () => (await use()).body.code === "account_frozen", 10_000);
  assert.equal((await ask("purchases"))[0].dispute, "open");
  await screenshot(page, "overview");

  // Won: all is as before. Disputed again and lost: the credits are gone.
  await page.click(`button:text-is("Win the dispute")`);
  await until(async () => (await use()).status === 200, 10_000);
  await page.click(`button:text-is("Dispute")`);
  await page.click(`button:text-is("Lose it")`);
  await becomes(0);
  const [lost] = await ask("purchases");
  assert.deepEqual([lost.dispute, lost.creditsTakenBack], ["lost", 500]);
});

async function startStripe(address, webhook) {
  const program = process.env.XTASK_BIN;
  if (!program) throw new Error("set XTASK_BIN to the built `xtask`, or run `cargo xtask test`");
  const child = spawn(program, ["stripe-stand-in", address, webhook], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return { url: line.trim(), close: () => child.kill() };
}

async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** For somebody who wants to look at it: SCREENSHOTS names a folder. */
async function screenshot(page, name) {
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
  }
}
