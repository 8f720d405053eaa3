/** The conformance list of `shared-claims`, the one that every host runs. */

import { readFileSync } from "node:fs";

const FOLDER = new URL("../../../shared-claims/tests/vectors/", import.meta.url);

export const LIST_NAMES = ["tokens", "key_sets", "signatures"];

export const listFile = (name) => new URL(`${name}.json`, FOLDER);

export const lists = () =>
  Object.fromEntries(
    LIST_NAMES.map((name) => [name, JSON.parse(readFileSync(listFile(name), "utf8"))]),
  );
