//! `tollgate user import`.

use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::start::{attach_database, start_app};
use crate::accounts::{self, ImportFile, ImportReport, Mapping};
use crate::config::Config;

/// What to import.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// One JSON object a line: {"user": {…}} or {"account": {…}}, see docs/passwords.md
    file: PathBuf,
    /// Import the good lines although others are bad
    #[arg(long)]
    skip_invalid: bool,
    /// Give each new user the signup bonus
    #[arg(long)]
    with_bonus: bool,
    /// For a program to read, with every user's id there and here
    #[arg(long)]
    json: bool,
}

/// Reads the file, says what is wrong with it, and imports it.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answer to the command"
)]
pub async fn run(config: Config, arguments: ImportArguments) -> Result<(), String> {
    let path = arguments.file.display();
    let told = |error: std::io::Error| format!("cannot read {path}: {error}");
    let source = BufReader::new(File::open(&arguments.file).map_err(told)?);
    let file = accounts::read_import(source).map_err(told)?;
    for problem in &file.problems {
        eprintln!("line {}: {}", problem.line, problem.reason);
    }
    if !file.problems.is_empty() && !arguments.skip_invalid {
        let n_bad = file.problems.len();
        return Err(format!(
            "{n_bad} bad line(s), nothing has been imported: mend them, or pass them over with --skip-invalid"
        ));
    }
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let n_users = file.users().len();
    let watched = std::io::stderr().is_terminal();
    let progress = |n_done: usize| {
        if watched && (n_done.is_multiple_of(PROGRESS_EVERY) || n_done == n_users) {
            eprintln!("{n_done} of {n_users} users");
        }
    };
    let report = accounts::import_users(&app, &file, arguments.with_bonus, progress)
        .await
        .map_err(|error| error.to_string())?;
    match arguments.json {
        true => println!("{}", to_json(&report, &file)),
        false => println!("{}", summary(&report, &file)),
    }
    Ok(())
}

fn summary(report: &ImportReport, file: &ImportFile) -> String {
    format!(
        "{} users imported, {} were here already; {} sign-ins by other providers and {} bad lines passed over",
        report.imported.len(),
        report.existing.len(),
        file.n_other_accounts,
        file.problems.len()
    )
}

fn to_json(report: &ImportReport, file: &ImportFile) -> String {
    let mappings = |list: &[Mapping]| -> Vec<_> {
        list.iter()
            .map(|mapping| serde_json::json!({ "from": mapping.from, "to": mapping.to }))
            .collect()
    };
    let problems: Vec<_> = file
        .problems
        .iter()
        .map(|problem| serde_json::json!({ "line": problem.line, "reason": problem.reason }))
        .collect();
    serde_json::json!({
        "imported": mappings(&report.imported),
        "existing": mappings(&report.existing),
        "otherAccounts": file.n_other_accounts,
        "problems": problems,
    })
    .to_string()
}

/// About a line a second.
const PROGRESS_EVERY: usize = 1000;
