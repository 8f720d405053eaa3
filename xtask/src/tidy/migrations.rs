//! Migrations are never edited once they have landed: databases have run them.
//!
//! `migrations/landed` lists each with the hash git gives its content. A migration that is not
//! listed yet may still change; `cargo xtask tidy --land-migrations` adds it.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::Finding;
use super::source::Source;
use crate::process;
use crate::ui;
use crate::workspace::Workspace;

/// Compares the migrations with the list.
pub fn check(workspace: &Workspace, sources: &[Source]) -> Result<Vec<Finding>> {
    let list = workspace.read(LIST).unwrap_or_default();
    Ok(compare(&list, &hashes(workspace, sources)?))
}

/// Lists the migrations that are not listed yet.
pub fn land(workspace: &Workspace, sources: &[Source]) -> Result<()> {
    let mut list = workspace.read(LIST).unwrap_or_default();
    for (file, hash) in hashes(workspace, sources)? {
        if find(&list, &file).is_none() {
            writeln!(list, "{hash} {file}")?;
            ui::line(&file, "landed: it may not change any more");
        }
    }
    fs::write(workspace.root.join(LIST), list).with_context(|| format!("writing {LIST}"))
}

fn compare(list: &str, present: &[(String, String)]) -> Vec<Finding> {
    let finding = |file: &str, line, problem: &str| Finding {
        file: file.to_owned(),
        line,
        problem: problem.to_owned(),
    };
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(list.lines()) {
        let Some((landed, file)) = line.split_once(' ') else {
            findings.push(finding(LIST, number, "not a hash and a file"));
            continue;
        };
        match present.iter().find(|(name, _)| name == file) {
            None => findings.push(finding(
                LIST,
                number,
                &format!("{file} has landed and is gone"),
            )),
            Some((_, hash)) if hash != landed => findings.push(finding(
                file,
                1,
                "has landed and was edited: undo that and write a new migration",
            )),
            Some(_) => {}
        }
    }
    findings
}

fn find<'a>(list: &'a str, file: &str) -> Option<&'a str> {
    list.lines()
        .find_map(|line| line.split_once(' ').filter(|(_, name)| *name == file))
        .map(|(hash, _)| hash)
}

/// Each migration and the hash of its content.
fn hashes(workspace: &Workspace, sources: &[Source]) -> Result<Vec<(String, String)>> {
    let migrations = sources
        .iter()
        .filter(|s| s.path.starts_with("migrations/") && s.has_extension("sql"));
    migrations
        .map(|source| {
            let mut command = Command::new("git");
            // The content as it is in the checkout, whatever git would convert.
            command
                .args(["hash-object", "--no-filters", &source.path])
                .current_dir(&workspace.root);
            Ok((
                source.path.clone(),
                process::capture(&mut command)?.trim().to_owned(),
            ))
        })
        .collect()
}

const LIST: &str = "migrations/landed";

#[cfg(test)]
mod tests {
    use super::*;

    fn present(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(file, hash)| ((*file).to_owned(), (*hash).to_owned()))
            .collect()
    }

    const LANDED: &str = "aaa migrations/0001_auth.sql\nbbb migrations/0002_credits.sql\n";

    #[test]
    fn unchanged_and_new_migrations_have_no_findings() {
        let files = [
            ("migrations/0001_auth.sql", "aaa"),
            ("migrations/0002_credits.sql", "bbb"),
            ("migrations/0003_new.sql", "ccc"),
        ];
        assert_eq!(compare(LANDED, &present(&files)), []);
    }

    #[test]
    fn edited_and_removed_migrations_are_found() {
        let found = compare(LANDED, &present(&[("migrations/0001_auth.sql", "edited")]));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].file, "migrations/0001_auth.sql");
        assert!(found[1].problem.contains("0002_credits.sql"));
    }

    #[test]
    fn malformed_list_is_found() {
        assert_eq!(compare("aaa\n", &[]).len(), 1);
    }
}
