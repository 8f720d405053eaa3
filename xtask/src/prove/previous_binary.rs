//! The version before on today's schema, beside today's version: what a rolling restart is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::chaos::client::Client;
use crate::chaos::parts::{Cluster, Issuer, scratch};
use crate::chaos::person::Person;
use crate::chaos::rng::Rng;
use crate::chaos::{BONUS, MASTER_KEY};
use crate::issuer;
use crate::process;
use crate::setup::Toolbox;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// Runs both on one database; people use one and the other by turns and remember what they were told.
pub fn prove(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<String>> {
    let program = issuer::build(workspace)?;
    let commit = commit_before_the_newest_migration(workspace)?;
    let previous = build(workspace, &commit)?;
    let folder = workspace.target.join("previous-binary");
    scratch(&folder)?;
    // Made and migrated by today's program.
    let cluster = Cluster::start(&program, toolbox, &folder.join("data"))?;
    let mut issuers = Vec::new();
    for (name, program) in [("previous", &previous), ("current", &program)] {
        let variables = [
            ("DATABASE_URL", cluster.local_issuer_url()),
            ("MASTER_KEY", MASTER_KEY.to_owned()),
            ("JWT_ISSUER", "https://id.example.com".to_owned()),
            ("CREDITS_SIGNUP_BONUS", BONUS.to_string()),
            ("CREDITS_DAILY_FREE", "0".to_owned()),
            // Where nobody takes mail: it stays in the outbox.
            ("SMTP_URL", "smtp://127.0.0.1:1".to_owned()),
            ("MAIL_FROM", "Previous <no-reply@example.com>".to_owned()),
            ("EMAIL_VERIFICATION", "off".to_owned()),
            ("RATE_LIMIT_SCALE", "1000".to_owned()),
        ];
        let mut issuer = Issuer::new(program, folder.join(format!("{name}.log")), variables)?;
        issuer.restart()?;
        issuers.push(issuer);
    }
    let clients: Vec<Client> = issuers
        .iter()
        .map(|issuer| Client::new(&issuer.listen))
        .collect();
    let n_answers = use_both(&clients)?;
    for issuer in &issuers {
        process::capture(
            issuer
                .command(&["credits", "reconcile", "--json"])
                .env("DATABASE_OWNER_URL", cluster.owner_url()),
        )?;
    }
    Ok(vec![format!(
        "the binary of {} on today's schema, beside today's: {n_answers} answers, 0 wrong, ledger clean",
        &commit[..10]
    )])
}

fn use_both(clients: &[Client]) -> Result<u64> {
    let mut rng = Rng::new(1);
    let (mut findings, mut n_answers) = (Vec::new(), 0);
    for number in 0..N_PEOPLE {
        let client = &clients[number % clients.len()];
        let name = format!("both-{number}");
        let mut person = Person::register(client, &name).context("nobody could register")?;
        for _ in 0..N_ACTS {
            let client = rng.pick(clients).clone();
            person.act(&client, &mut rng);
        }
        let n_mails = person.n_mails_acknowledged();
        person.check(rng.pick(clients), n_mails, BONUS);
        ensure!(
            person.counts.n_unknown == 0,
            "{} requests were not answered",
            person.counts.n_unknown
        );
        n_answers += person.counts.n_acknowledged;
        findings.append(&mut person.findings);
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(n_answers)
}

/// The newest version that knew one migration less. Migrations are applied in the order of their
/// numbers, so the last name is the newest.
fn commit_before_the_newest_migration(workspace: &Workspace) -> Result<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&workspace.root);
        process::capture(&mut command).map(|text| text.trim().to_owned())
    };
    let files = git(&["ls-files", "migrations/*.sql"])?;
    let newest = files.lines().max().context("there are no migrations")?;
    let added = git(&[
        "log",
        "--format=%H",
        "--diff-filter=A",
        "--max-count=1",
        "--",
        newest,
    ])?;
    git(&["rev-parse", &format!("{added}^")])
}

/// Builds it in a checkout of its own, which is kept: the second time nothing is compiled.
fn build(workspace: &Workspace, commit: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("previous");
    let checkout = folder.join("checkout");
    let mut command = Command::new("git");
    command.current_dir(&workspace.root);
    if checkout.exists() {
        command
            .arg("-C")
            .arg(&checkout)
            .args(["checkout", "--detach", commit]);
    } else {
        command
            .args(["worktree", "add", "--detach"])
            .arg(&checkout)
            .arg(commit);
    }
    process::capture(&mut command)?;
    ui::line("the version before", &commit[..10]);
    let mut command = cargo();
    command
        .args(["build", "--package", "issuer", "--bin", "tollgate"])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("SQLX_OFFLINE", "true")
        .current_dir(&checkout);
    process::run_quietly("the version before", "built", &mut command)?;
    Ok(folder.join("target/debug/tollgate"))
}

const N_PEOPLE: usize = 10;
const N_ACTS: usize = 100;
