// What docs/npm.md says of other libraries is what they do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pageWithTable } from "./support/hostile.mjs";

test("table of hostile tokens in docs/npm.md is what the libraries accept", async () => {
  const { is, shouldBe } = await pageWithTable();
  assert.equal(
    is,
    shouldBe,
    "run `node wasm-pkg/packaging-tests/support/hostile.mjs --write` and look at what has changed",
  );
});
