//! The key set, against Better Auth's and against an empty handler behind the same middleware.

use std::time::Duration;

use anyhow::Result;

use super::better_auth::BetterAuth;
use super::crowd::{Heard, Same, drive};
use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::limit::{self, Limit};
use super::pgbench::Database;
use super::pid;
use super::server::Server;
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let tools = &[Tool::Node, Tool::Postgres, Tool::BetterAuth];
    let toolbox = setup::ensure(workspace, tools)?;
    ui::heading(
        "bench jwks",
        "the key set against Better Auth's, and against an empty handler",
    );
    let (issuer, empty) = limit::build(workspace)?;
    let server = Server::start(workspace, &toolbox, &issuer)?;
    let theirs = Database::of(server.data_dir())?.create("better_auth")?;
    let peer = BetterAuth::start(workspace, &toolbox, &theirs)?;
    let limit = Limit::start(workspace, &empty)?;
    let mut contestants = [
        (&server.url, "/.well-known/jwks.json", "\"kty\":\"OKP\""),
        (&peer.url, "/api/auth/jwks", "\"kty\":\"OKP\""),
        (&limit.url, "/empty", ""),
    ]
    .map(|(url, path, expected)| (url, Same::reading(url, path, expected, N_CLIENTS)));
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let before = [
            pid::busy_ms(server.process())?,
            pid::busy_ms(limit.process())?,
        ];
        let heard = contestants
            .each_mut()
            .map(|(url, clients)| drive(url, clients, LASTING));
        let [ours, theirs, limits] = heard;
        let round = Round {
            ours: ours?,
            theirs: theirs?,
            limit: limits?,
        };
        let after = [
            pid::busy_ms(server.process())?,
            pid::busy_ms(limit.process())?,
        ];
        let micros = |i: usize, heard: &Heard| (after[i] - before[i]) * 1000 / heard.n_answers();
        let text = format!(
            "{} × Better Auth, {} of an empty handler; processor time {} and {} µs",
            decimal(round.of_theirs()),
            decimal(round.of_limit()),
            micros(0, &round.ours),
            micros(1, &round.limit)
        );
        ui::line(&format!("round {number}"), &text);
        rounds.push(round);
    }
    conclude(workspace, "jwks", &figures(&rounds))
}

/// One round: each contestant once.
struct Round {
    ours: Heard,
    theirs: Heard,
    limit: Heard,
}

impl Round {
    fn of_theirs(&self) -> u64 {
        ratio(self.ours.rate(), self.theirs.rate())
    }

    fn of_limit(&self) -> u64 {
        ratio(self.ours.rate(), self.limit.rate())
    }
}

fn figures(rounds: &[Round]) -> [Figure; 2] {
    let ratios = |ratio: fn(&Round) -> u64| rounds.iter().map(ratio).collect();
    [
        Figure {
            name: "key sets ÷ Better Auth".into(),
            ratios: ratios(Round::of_theirs),
            goal: Goal::AtLeast(40_000),
        },
        Figure {
            name: "key sets ÷ empty handler".into(),
            ratios: ratios(Round::of_limit),
            goal: Goal::AtLeast(900),
        },
    ]
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(5);
const N_CLIENTS: usize = 16;
