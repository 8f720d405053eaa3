//! `cargo xtask prove`: the proofs that take longer than a run of all tests may.
//!
//! Most are tests at their full size. A test says what it has proven in a line that begins with
//! `figure: `, and those lines are the answer.

mod edge_cost;
mod edge_soak;
mod mutations;
mod previous_binary;
mod reproducible;
mod rolling_restart;
mod scale;

use std::num::ParseIntError;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::setup::{self, Tool, Toolbox};
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// One proof.
struct Proof {
    /// What `--only` calls it.
    name: &'static str,
    /// What it proves.
    reason: &'static str,
    how: How,
}

enum How {
    /// By tests: part of the names of some, what they are told of their size, and whether each
    /// that ran says a figure.
    Tests(
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
    /// By a program of its own; what it found.
    Program(fn(&Workspace, &Toolbox) -> Result<Vec<String>>),
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "model",
        reason: "random operations against a model of the ledger, by seeds",
        how: How::Tests(&["credits::random::"], &[("PROVE_OPERATIONS", "20000")]),
    },
    Proof {
        name: "duplicates",
        reason: "a storm of repeated keys on a scarce account",
        how: How::Tests(
            &["credits::storms::a_storm_of_repeated_keys"],
            &[("PROVE_CALLS", "10000")],
        ),
    },
    Proof {
        name: "server-kills",
        reason: "kill -9 of PostgreSQL under charges, then every client asks again",
        how: How::Tests(&["ledger::killed_server"], &[]),
    },
    Proof {
        name: "issuer-kills",
        reason: "kill -9 of the issuer under charges, then every client asks again",
        how: How::Tests(&["ledger::killed_issuer"], &[]),
    },
    Proof {
        name: "stripe-kills",
        reason: "kill -9 of the issuer around calls to Stripe and its reports, then everybody asks again",
        how: How::Tests(&["purchases::killed_issuer"], &[]),
    },
    Proof {
        name: "stripe-faults",
        reason: "answers of Stripe that are lost, late or repeated",
        how: How::Tests(&["purchases::checkout::", "purchases::webhook"], &[]),
    },
    Proof {
        name: "mix",
        reason: "64 workers, two minutes, all operations on 50 accounts",
        how: How::Tests(
            &["credits::mixed::"],
            &[("PROVE_WORKERS", "64"), ("PROVE_SECS", "120")],
        ),
    },
    Proof {
        name: "orders",
        reason: "all 5 040 orders of seven events, with duplicates",
        how: How::Tests(&["purchases::orders"], &[("PROVE_ALL", "1")]),
    },
    Proof {
        name: "attacks",
        reason: "what the issuer's role and the tables' owner may not do",
        how: How::Tests(&["::attacks::", "credits::tables::"], &[]),
    },
    Proof {
        name: "corruptions",
        reason: "what the tables' owner changes by force is found",
        how: How::Tests(&["credits::reconcile::"], &[]),
    },
    Proof {
        name: "pooling",
        reason: "20 clients, 4 000 calls each, through every supported kind of pooling: no wrong answer",
        how: How::Tests(&["db::pooling::"], &[("PROVE_CALLS", "4000")]),
    },
    Proof {
        name: "rolling-restart",
        reason: "200 requests a second through HAProxy while two issuers are restarted in turn: none fails",
        how: How::Program(rolling_restart::prove),
    },
    Proof {
        name: "previous-binary",
        reason: "the version before the newest migration on today's schema, beside today's version",
        how: How::Program(previous_binary::prove),
    },
    Proof {
        name: "edge-cost",
        reason: "1000 requests to a route with a cost, a third of which fail; then the gateway is killed",
        how: How::Program(edge_cost::prove),
    },
    Proof {
        name: "mutations",
        reason: "each constraint, trigger, rule and lock taken out in turn: a test notices",
        how: How::Program(mutations::prove),
    },
    Proof {
        name: "scale",
        reason: "10 000 000 entries on 100 000 accounts cost what 10 000 entries cost",
        how: How::Program(scale::prove),
    },
    Proof {
        name: "reproducible",
        reason: "everything that is delivered, built twice in two folders: the same bytes",
        how: How::Program(reproducible::prove),
    },
    Proof {
        name: "edge-soak",
        reason: "ten minutes of load while keys rotate and sessions are revoked: no wrong verdict",
        how: How::Program(edge_soak::prove),
    },
];

/// Runs all of them, or one; fails with the names of those that failed.
pub fn run(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let chosen: Vec<&Proof> = PROOFS
        .iter()
        .filter(|proof| only.is_none_or(|name| name == proof.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = PROOFS.iter().map(|proof| proof.name).collect();
        bail!("there is no such proof; there are: {}", names.join(", "));
    }
    let toolbox = setup::ensure(
        workspace,
        &[Tool::Node, Tool::Postgres, Tool::PgBouncer, Tool::Haproxy],
    )?;
    let mut rows = vec![["proof", "figure"].map(str::to_owned).to_vec()];
    let mut failed = Vec::new();
    for proof in chosen {
        ui::heading(&format!("prove {}", proof.name), proof.reason);
        let found = match &proof.how {
            How::Tests(filters, sizes) => by_tests(workspace, &toolbox, filters, sizes),
            How::Program(prove) => prove(workspace, &toolbox),
        };
        let figures = found.unwrap_or_else(|error| {
            failed.push(proof.name);
            vec![format!("failed: {error:#}")]
        });
        rows.extend(
            figures
                .into_iter()
                .map(|text| vec![proof.name.to_owned(), text]),
        );
    }
    println!("\n{}", ui::table(&rows));
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("not proven: {}", failed.join(", ")),
    }
}

/// Runs tests, one after the other; the figures they say, and how many ran.
fn by_tests(
    workspace: &Workspace,
    toolbox: &Toolbox,
    filters: &[&str],
    sizes: &[(&str, &str)],
) -> Result<Vec<String>> {
    let mut command = tests(workspace, toolbox);
    command
        .args(filters)
        .args(["--nocapture", "--test-threads=1"]);
    command.envs(sizes.iter().copied());
    let (mut figures, mut n_passed) = (Vec::new(), 0);
    let status = process::run_shown(&mut command, |line| {
        if let Some((_, figure)) = line.split_once("figure: ") {
            figures.push(figure.to_owned());
        }
        n_passed += usize::from(line.ends_with("... ok") || line == "ok");
    })?;
    ensure!(status.success(), "a test failed");
    ensure!(n_passed > 0, "no test ran");
    if figures.is_empty() {
        figures.push(format!("{n_passed} tests passed"));
    }
    Ok(figures)
}

/// A size that was asked for in the environment.
fn number<T: FromStr<Err = ParseIntError>>(name: &str) -> Result<Option<T>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text.parse().with_context(|| name.to_owned())?)),
        Err(_) => Ok(None),
    }
}

/// The integration tests of the issuer; names of tests and the runner's options come behind it.
fn tests(workspace: &Workspace, toolbox: &Toolbox) -> Command {
    let mut command = cargo();
    toolbox.equip(&mut command);
    command
        .args([
            "test",
            "--workspace",
            "--test",
            "it",
            "--test",
            "process",
            "--",
        ])
        .current_dir(&workspace.root);
    command
}
