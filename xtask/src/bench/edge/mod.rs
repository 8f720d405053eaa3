//! The gateway against workers of the same work in JavaScript: without verifying, with jose, and
//! one that passes everything on.

pub mod cold;
pub mod stage;
pub mod traffic;

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Context, Result};

use self::stage::{Stage, Workerd};
use self::traffic::{Check, Drive, Shot, drive};
use super::figures::{Figure, Goal, conclude, ratio};
use crate::edge;
use crate::setup;
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, edge::TOOLS)?;
    ui::heading(
        "bench edge",
        "the gateway against JavaScript workers that do the same work",
    );
    let mut stage = Stage::prepare(workspace, &toolbox, "")?;
    let fresh = stage.sign(N_TOKENS)?;
    let contestants = CONTESTANTS
        .iter()
        .map(|(name, worker, repeats, check)| {
            Ok(Contestant {
                name,
                workerd: stage.start(worker)?,
                shots: &fresh[..if *repeats { N_REPEATED } else { N_TOKENS }],
                next: AtomicUsize::new(0),
                check: *check,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    ui::line("load", &format!("{ROUNDS} rounds of {TURNS} turns"));
    for contestant in &contestants {
        contestant.requests(WARMING)?;
    }
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = Round::measure(&contestants)?;
        ui::line(&format!("round {number}"), &round.text());
        rounds.push(round);
    }
    conclude(workspace, "edge", &figures(&rounds)?)
}

/// A worker under one kind of load.
struct Contestant<'a> {
    name: &'static str,
    workerd: Workerd,
    shots: &'a [Shot],
    next: AtomicUsize,
    check: Check<'static>,
}

impl Contestant<'_> {
    fn requests(&self, lasting: Duration) -> Result<u64> {
        let load = Drive {
            port: self.workerd.port,
            shots: self.shots,
            next: &self.next,
            rate: None,
            lasting,
        };
        drive(&load, self.check).with_context(|| self.name.to_owned())
    }
}

/// For each contestant, requests answered and milliseconds of workerd's core.
struct Round(Vec<Counted>);

struct Counted {
    name: &'static str,
    n_requests: u64,
    busy_ms: u64,
}

impl Round {
    fn measure(contestants: &[Contestant<'_>]) -> Result<Self> {
        let mut counted: Vec<_> = contestants
            .iter()
            .map(|contestant| Counted {
                name: contestant.name,
                n_requests: 0,
                busy_ms: 0,
            })
            .collect();
        for _ in 0..TURNS {
            for (contestant, counted) in contestants.iter().zip(&mut counted) {
                let before = contestant.workerd.busy_ms()?;
                counted.n_requests += contestant.requests(TURN)?;
                counted.busy_ms += contestant.workerd.busy_ms()? - before;
            }
        }
        Ok(Self(counted))
    }

    fn of(&self, name: &str) -> Result<u64> {
        let found = self.0.iter().find(|counted| counted.name == name);
        Ok(found.context("no such contestant")?.n_requests)
    }

    /// How much of its core each used, and for how long for one request.
    fn text(&self) -> String {
        let texts = self.0.iter().map(|counted| {
            let Counted {
                name,
                n_requests,
                busy_ms,
            } = counted;
            let percent = busy_ms * 100 / u64::from(TURNS) / TURN_MS;
            let micros = busy_ms * 1000 / n_requests.max(&1);
            format!("{name} {micros} µs ({percent} %)")
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

fn figures(rounds: &[Round]) -> Result<Vec<Figure>> {
    GOALS
        .iter()
        .map(|(ours, theirs, goal)| {
            let ratios = rounds
                .iter()
                .map(|round| Ok(ratio(round.of(ours)?, round.of(theirs)?)))
                .collect::<Result<Vec<_>>>()?;
            Ok(Figure {
                name: format!("{ours} ÷ {theirs}"),
                ratios,
                goal: *goal,
            })
        })
        .collect()
}

/// A name, the worker, whether the tokens are few and repeat, and what its answers must be.
const CONTESTANTS: [(&str, &str, bool, Check<'static>); 7] = [
    ("ours, never seen", "ours", false, &traffic::verified),
    ("believing", "believe", false, &traffic::believed),
    ("jose", "jose", false, &traffic::verified),
    ("passing on", "pass", false, &traffic::untouched),
    ("ours, repeated", "ours", true, &traffic::verified),
    ("believing, repeated", "believe", true, &traffic::believed),
    ("ours, signing", "signing", false, &traffic::verified),
];

/// The aim for the bare pass-through is none to fail by, and assertions have their price.
const GOALS: [(&str, &str, Goal); 5] = [
    ("ours, never seen", "believing", Goal::AtLeast(800)),
    ("ours, repeated", "believing, repeated", Goal::AtLeast(900)),
    ("ours, never seen", "jose", Goal::AtLeast(1250)),
    ("ours, never seen", "passing on", Goal::Reported),
    ("ours, signing", "ours, never seen", Goal::Reported),
];

/// Three times what the gateway remembers, so that none is ever found there.
const N_TOKENS: usize = 3 * 4096;
/// So few that all are remembered; among them one that is forged.
const N_REPEATED: usize = 200;
const ROUNDS: u32 = 5;
/// So often in a round does each have its turn, so that a neighbour's burst hits all of them.
const TURNS: u32 = 4;
const TURN_MS: u64 = 1000;
const TURN: Duration = Duration::from_millis(TURN_MS);
/// Until engines have compiled what runs often, and the gateway has built its tables.
const WARMING: Duration = Duration::from_secs(3);
