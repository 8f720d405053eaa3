import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { sha256 } from "../js/webcrypto/sha256.mjs";

test("digest of every length up to five blocks is the reference's", () => {
  for (let n = 0; n <= 320; n += 1) {
    const text = "aé".repeat(n).slice(0, n);
    const expected = createHash("sha256").update(text).digest();
    assert.deepEqual(Buffer.from(sha256(text)), expected, `${n} characters`);
  }
});
