// `/metrics` of a running issuer against all that relies on it: promtool's rules for names, the
// table for operators, the dashboards and the alerts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTollgate } from "../../edge-verifier/test/support/tollgate.mjs";
import { alertRules, dashboardQueries, described, documents, metricsIn, read, run } from "./support.mjs";

let issuer;
let text;

before(async () => {
  issuer = await startTollgate();
  // One of everything that names a metric only when it has happened.
  await issuer.register("ada");
  const { accessToken: token, refreshToken } = await issuer.login("ada");
  await issuer.refresh(refreshToken);
  const body = { amount: 1, appId: "shop", description: "a test" };
  assert.equal((await issuer.post("/credits/use", { token, body })).status, 200);
  await fetch(`${issuer.url}/.well-known/jwks.json`);
  await fetch(`${issuer.url}/.well-known/revocations`);
  await fetch(`${issuer.url}/nothing`);
  text = await (await fetch(`${issuer.url}/metrics`)).text();
});
after(() => issuer?.close());

test("promtool_has_nothing_to_say_about_the_metrics", () => {
  const { ok, said } = run("promtool", ["check", "metrics"], { input: text });
  assert.ok(ok && said.trim() === "", said);
});

test("promtool_would_have_said_something", () => {
  const input = "# HELP bad_total A gauge.\n# TYPE bad_total gauge\nbad_total 1\n";
  assert.ok(!run("promtool", ["check", "metrics"], { input }).ok);
});

test("table_for_operators_lists_the_metrics_there_are_with_their_labels", () => {
  const rows = read("docs/operations.md").matchAll(/^\| `(tollgate_\w+)` \|([^|]*)\|/gm);
  const table = new Map([...rows].map(([, name, labels]) => [name, labels.split(",").map((label) => label.trim()).filter(Boolean)]));
  assert.deepEqual([...table.keys()].sort(), [...described(text)].sort());
  for (const [name, labels] of table) {
    const sample = text.split("\n").find((line) => line.startsWith(`${name}{`) || line.startsWith(`${name}_bucket{`) || line.startsWith(`${name} `));
    const found = [...(sample ?? "").matchAll(/[{,](\w+)="/g)].map(([, label]) => label).filter((label) => label !== "le");
    assert.deepEqual(found, labels, `${name}: ${sample}`);
  }
});

test("no_label_has_a_name_that_prometheus_gives_itself", () => {
  assert.doesNotMatch(text, /[{,](job|instance|__\w+)="/);
});

test("every_metric_of_dashboards_and_alerts_is_one_that_the_issuer_has", () => {
  const known = described(text);
  const queries = [...dashboardQueries(), ...alertRules().map(({ alert, expr }) => ({ where: alert, expr }))];
  assert.ok(queries.length > 80);
  for (const { where, expr } of queries) {
    for (const name of metricsIn(expr)) assert.ok(known.has(name), `${where}: ${name}`);
  }
  const shown = new Set(queries.flatMap(({ expr }) => [...metricsIn(expr)]));
  assert.deepEqual([...known].filter((name) => !shown.has(name)), [], "metrics that nobody looks at");
});

test("every_label_and_value_that_queries_ask_for_can_be_there", () => {
  const values = new Map();
  for (const [, name, value] of text.matchAll(/[{,](\w+)="([^"]*)"/g)) {
    values.set(name, (values.get(name) ?? new Set()).add(value));
  }
  const queries = [...dashboardQueries(), ...alertRules().map(({ alert, expr }) => ({ where: alert, expr }))];
  for (const { where, expr } of queries) {
    for (const [, label, listed] of expr.matchAll(/(outcome|act|answer|purpose|state|task)[=!]~?"([^"]+)"/g)) {
      for (const value of listed.split("|")) {
        const seen = values.get(label)?.has(value) || LATER.has(value);
        assert.ok(seen, `${where}: ${label}="${value}"`);
      }
    }
    for (const [, by] of expr.matchAll(/by \(([^)]*)\)/g)) {
      for (const label of by.split(",").map((part) => part.trim())) {
        assert.ok(values.has(label) || ["instance", "le"].includes(label), `${where}: by ${label}`);
      }
    }
  }
});

test("rules_are_about_the_job_that_is_scraped", () => {
  const [{ scrape_configs: [{ job_name: name }] }] = documents("deploy/prometheus/prometheus.yml");
  for (const { alert, expr } of alertRules()) {
    for (const [, job] of expr.matchAll(/job="([^"]+)"/g)) assert.equal(job, name, alert);
  }
});

/** What a healthy issuer has not seen: these are given no zero beforehand. */
const LATER = new Set(["conflict"]);
