//! npm packages: what the lock files say of them.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::licence::is_met;
use crate::ui;
use crate::workspace::Workspace;

/// Every package of every lock file has a hash, names no server, and has a licence we can work with.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut n_packages = 0;
    for file in LOCK_FILES {
        let lock: Value = serde_json::from_str(&workspace.read(file)?).context(file)?;
        let packages = lock["packages"].as_object().context(file)?;
        for (place, package) in packages {
            // What lies outside `node_modules` is ours, and a link leads there.
            let Some((_, name)) = place.rsplit_once("node_modules/") else {
                continue;
            };
            if package["link"] == true {
                continue;
            }
            n_packages += 1;
            findings.extend(problems(name, package).into_iter().map(|problem| Finding {
                package: name.to_owned(),
                problem: format!("{problem} ({file})"),
            }));
        }
    }
    ui::line("npm packages", &format!("{n_packages} looked at"));
    findings.extend(shipped(workspace)?);
    Ok(findings)
}

fn problems(name: &str, package: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let hash = package["integrity"].as_str().unwrap_or_default();
    if !hash.starts_with("sha512-") {
        problems.push("has no SHA-512 in the lock file".to_owned());
    }
    if package.get("resolved").is_some() {
        problems.push("names a server in the lock file".to_owned());
    }
    let unstated = UNSTATED.iter().find(|(known, _)| *known == name);
    let licence = package["license"]
        .as_str()
        .or(unstated.map(|(_, licence)| *licence));
    let licence = licence.unwrap_or_default();
    if !is_met(licence, &|id| FOR_TOOLS.contains(&id)) {
        problems.push(format!(
            "its licence is {licence:?}, which is not on the list"
        ));
    }
    problems
}

/// Whoever installs the package gets it and nothing else.
fn shipped(workspace: &Workspace) -> Result<Option<Finding>> {
    let manifest: Value = serde_json::from_str(&workspace.read("wasm-pkg/package.json")?)?;
    let ships = manifest["dependencies"]
        .as_object()
        .is_some_and(|names| !names.is_empty());
    Ok(ships.then(|| Finding {
        package: "@tollgate/verifier".into(),
        problem: "has dependencies, which everybody who installs it would get".into(),
    }))
}

const LOCK_FILES: [&str; 5] = [
    "package-lock.json",
    "xtask/better-auth/package-lock.json",
    "xtask/node/package-lock.json",
    "xtask/postgres/package-lock.json",
    "xtask/verify-bench/package-lock.json",
];
/// These packages build and test and are not delivered: whatever lets us run them will do.
const FOR_TOOLS: [&str; 18] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC0-1.0",
    "ISC",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Unlicense",
    "WTFPL",
];
/// They name their licence where npm does not look any more.
const UNSTATED: [(&str, &str); 2] = [("busboy", "MIT"), ("streamsearch", "MIT")];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hash_server_and_licence_are_looked_at() {
        let good = json!({"integrity": "sha512-AAAA", "license": "MIT"});
        assert!(problems("good", &good).is_empty());
        for (member, value) in [
            ("integrity", json!("sha1-AAAA")),
            ("resolved", json!("https://example.com/good.tgz")),
            ("license", json!("SEE LICENSE IN LICENSE.md")),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert_eq!(problems("good", &bad).len(), 1, "{member}");
        }
        let unstated = json!({"integrity": "sha512-AAAA"});
        assert!(problems("busboy", &unstated).is_empty());
        assert_eq!(problems("other", &unstated).len(), 1);
    }
}
