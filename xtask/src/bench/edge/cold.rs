//! How long a fresh process takes to its first verified answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::stage::Stage;
use super::traffic::{self, Shot, once};
use crate::bench::figures::{Figure, Goal, conclude, ratio};
use crate::edge;
use crate::setup;
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, edge::TOOLS)?;
    ui::heading(
        "bench cold",
        "a fresh workerd to its first verified answer, the keys in the data centre's cache",
    );
    let mut stage = Stage::prepare(workspace, &toolbox, "")?;
    let shots = stage.sign(1)?;
    // The first of each puts the keys where the others find them: those of tokens and of the feed,
    // and the one set that jose needs.
    for (name, n_copies) in [(OURS, 2), (JOSE, 3)] {
        let workerd = stage.start(name)?;
        once(workerd.port, &shots[0], &traffic::verified).with_context(|| name.to_owned())?;
        stage.await_copies(n_copies)?;
    }
    let bench = Bench {
        stage: &stage,
        shot: &shots[0],
    };
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = bench.measure()?;
        ui::line(&format!("round {number}"), &round.text());
        rounds.push(round);
    }
    let figures = [
        figure(
            "from its start: ours ÷ jose",
            &rounds,
            Goal::AtMost(1500),
            |round| ratio(round.ours.whole, round.jose.whole),
        ),
        figure(
            "from the request: ours ÷ jose",
            &rounds,
            Goal::Reported,
            |round| ratio(round.ours.request, round.jose.request),
        ),
    ];
    conclude(workspace, "cold", &figures)
}

struct Bench<'a> {
    stage: &'a Stage,
    shot: &'a Shot,
}

/// Microseconds, each the sum of several turns.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// Since the process was started.
    whole: u64,
    /// Since the request was sent to a worker that listens.
    request: u64,
}

#[derive(Default)]
struct Round {
    ours: Spent,
    jose: Spent,
}

impl Bench<'_> {
    fn measure(&self) -> Result<Round> {
        let mut round = Round::default();
        for _ in 0..TURNS {
            round.ours.add(self.first_answer(OURS)?);
            round.jose.add(self.first_answer(JOSE)?);
        }
        Ok(round)
    }

    fn first_answer(&self, name: &str) -> Result<Spent> {
        let workerd = self.stage.start(name)?;
        let sent = Instant::now();
        once(workerd.port, self.shot, &traffic::verified).with_context(|| name.to_owned())?;
        Ok(Spent {
            whole: micros(workerd.began.elapsed())?,
            request: micros(sent.elapsed())?,
        })
    }
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.request += other.request;
    }

    fn text(self) -> String {
        let mean_ms = |sum: u64| sum / u64::from(TURNS) / 1000;
        format!("{} ms ({} ms)", mean_ms(self.whole), mean_ms(self.request))
    }
}

impl Round {
    fn text(&self) -> String {
        format!("ours {}, jose {}", self.ours.text(), self.jose.text())
    }
}

fn figure(name: &str, rounds: &[Round], goal: Goal, of: impl Fn(&Round) -> u64) -> Figure {
    Figure {
        name: name.to_owned(),
        ratios: rounds.iter().map(of).collect(),
        goal,
    }
}

fn micros(elapsed: Duration) -> Result<u64> {
    Ok(u64::try_from(elapsed.as_micros())?)
}

const OURS: &str = "ours";
const JOSE: &str = "jose";
const ROUNDS: u32 = 5;
/// So often is each started in a round.
const TURNS: u32 = 6;
