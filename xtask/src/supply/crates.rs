//! Crates: what `cargo metadata` says of them, against `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::licence::is_met;
use crate::process;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// What `deny.toml` says that can be checked without its tool.
struct Rules {
    licences: BTreeSet<String>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeSet<String>,
}

impl Rules {
    /// Reads the three lists that are needed, in the form in which the file is written: an entry a
    /// line. The tool itself, which `supply` runs, reads all of it.
    fn read(text: &str) -> Result<Self> {
        let quoted = |line: &str| -> Vec<String> {
            let every_second = line.split('"').skip(1).step_by(2);
            every_second.map(str::to_owned).collect()
        };
        let banned = list(text, "[bans]", "deny = [")?;
        let exceptions = list(text, "[licenses]", "exceptions = [")?;
        Ok(Self {
            licences: list(text, "[licenses]", "allow = [")?
                .into_iter()
                .flat_map(quoted)
                .collect(),
            exceptions: exceptions
                .into_iter()
                .filter_map(|line| {
                    let mut words = quoted(line).into_iter();
                    Some((words.next()?, words.collect()))
                })
                .collect(),
            banned: banned
                .into_iter()
                .filter_map(|line| quoted(line).into_iter().next())
                .collect(),
        })
    }

    fn check(&self, package: &Value) -> Vec<String> {
        let text = |member: &str| package[member].as_str().unwrap_or_default();
        let (name, licence) = (text("name"), text("license"));
        let own = self.exceptions.get(name);
        let allows = |id: &str| {
            self.licences.contains(id) || own.is_some_and(|allowed| allowed.contains(id))
        };
        let mut problems = Vec::new();
        if !is_met(licence, &allows) {
            problems.push(format!(
                "its licence is {licence:?}, which deny.toml does not allow"
            ));
        }
        if self.banned.contains(name) {
            problems.push("is banned by deny.toml".to_owned());
        }
        match package["source"].as_str() {
            // Ours, or what is published.
            None | Some(CRATES_IO) => {}
            Some(source) => problems.push(format!("comes from {source} and not from crates.io")),
        }
        problems
    }
}

/// Everything that is compiled for this machine, whatever the features.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let rules = Rules::read(&workspace.read("deny.toml")?)?;
    let mut command = cargo();
    command
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
        ])
        .args(["--filter-platform", &host()?])
        .current_dir(&workspace.root);
    let metadata: Value =
        serde_json::from_str(&process::capture(&mut command)?).context("cargo metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata: packages")?;
    ui::line("crates", &format!("{} looked at", packages.len()));
    let findings = packages.iter().flat_map(|package| {
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        let problems = rules.check(package).into_iter();
        problems.map(move |problem| Finding {
            package: name.clone(),
            problem,
        })
    });
    Ok(findings.collect())
}

fn host() -> Result<String> {
    let text = process::capture(std::process::Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say what it runs on")
}

/// The lines of a list in a section, without comments; an absent list is a mistake of ours.
fn list<'a>(text: &'a str, section: &str, name: &str) -> Result<Vec<&'a str>> {
    let inside = text
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != section)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let mut from = inside.skip_while(|line| *line != name).skip(1).peekable();
    from.peek()
        .with_context(|| format!("deny.toml has no {name} …] in {section}"))?;
    Ok(from
        .take_while(|line| *line != "]")
        .filter(|line| !line.starts_with('#'))
        .collect())
}

/// How cargo names it, wherever it really fetches from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn file_without_one_of_the_lists_is_refused() {
        for name in ["allow = [", "exceptions = [", "deny = ["] {
            assert!(
                Rules::read(&RULES.replace(name, "other = [")).is_err(),
                "{name}"
            );
        }
    }

    const RULES: &str = r#"
        [licenses]
        # "GPL-3.0" is no entry.
        allow = [
            "MIT",
        ]
        exceptions = [
            { crate = "odd", allow = ["MPL-2.0"] },
        ]
        [bans]
        deny = [
            { crate = "openssl", reason = "rustls" },
        ]
    "#;

    fn problems(name: &str, licence: &str, source: &Value) -> usize {
        let package = json!({"name": name, "license": licence, "source": source});
        Rules::read(RULES).expect("rules").check(&package).len()
    }

    #[test]
    fn each_rule_of_deny_toml_is_held() {
        let published = &json!(CRATES_IO);
        assert_eq!(problems("good", "MIT", published), 0);
        assert_eq!(problems("ours", "MIT", &Value::Null), 0);
        assert_eq!(problems("odd", "MPL-2.0", published), 0);
        assert_eq!(problems("other", "MPL-2.0", published), 1);
        assert_eq!(problems("copyleft", "GPL-3.0", published), 1);
        assert_eq!(problems("none", "", published), 1);
        assert_eq!(problems("openssl", "MIT", published), 1);
        assert_eq!(
            problems("good", "MIT", &json!("git+https://example.com/x")),
            1
        );
    }
}
