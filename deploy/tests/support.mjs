// What the tests of deploy/ share: its files, the tools that read them, and the metrics there are.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const top = new URL("../../", import.meta.url);

/** A file of the repository, as a path. */
export const path = (name) => fileURLToPath(new URL(name, top));

/** A file of the repository, as text. */
export const read = (name) => readFileSync(path(name), "utf8");

/** The names of the files in a folder of the repository. */
export const list = (folder) => readdirSync(path(folder)).map((name) => `${folder}/${name}`);

/** A package of xtask/deployment, which `cargo xtask setup` installs into .tools. */
export const tool = createRequire(new URL(".tools/deployment/package.json", top));

/** The models of a version of Kubernetes' API, such as `apps/v1`. */
export const models = (version) =>
  import(new URL(`.tools/deployment/node_modules/kubernetes-models/${version}/index.js`, top));

const yaml = tool("yaml");

/** A YAML file with all of its documents. */
export function documents(name) {
  return yaml.parseAllDocuments(read(name), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${name}: ${document.errors.join("\n")}`);
    return document.toJS();
  });
}

/** Runs a program; what it said, and whether it was content. */
export function run(program, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
  if (error) throw error;
  return { ok: status === 0, said: stdout + stderr };
}

/** Every query of the dashboards, with where it stands. */
export function dashboardQueries() {
  return list("deploy/grafana/dashboards").flatMap((file) => {
    const { panels } = JSON.parse(read(file));
    return panels.flatMap((panel) =>
      panel.targets.map(({ expr }) => ({ where: `${file}: ${panel.title}`, expr })),
    );
  });
}

/** Every rule of the alerts. */
export function alertRules() {
  const [{ groups }] = documents("deploy/prometheus/rules.yml");
  return groups.flatMap((group) => group.rules);
}

/** The metrics that a query names, a histogram by its own name. */
export function metricsIn(expr) {
  const names = expr.match(/\btollgate_[a-z0-9_]+/g) ?? [];
  return new Set(names.map((name) => name.replace(/_seconds_(bucket|sum|count)$/, "_seconds")));
}

/** The metrics that the text of `/metrics` describes. */
export const described = (text) =>
  new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
