//! Refreshes, against a bare UPDATE of one row and against what Better Auth has of the kind.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::better_auth::{self, Asking, BetterAuth};
use super::chains::{self, Refreshing, TokenMaker};
use super::crowd::{Heard, drive};
use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::pgbench::Database;
use super::pid;
use super::server::{self, Server};
use crate::setup::{self, Tool, Toolbox};
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, TOOLS)?;
    ui::heading(
        "bench refresh",
        "refreshes against a bare UPDATE of one row, and against Better Auth",
    );
    let program = server::build(workspace)?;
    let mut scene = Scene::prepare(workspace, &toolbox, &program)?;
    scene.database.run(PREPARE_BARE)?;
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = Round::measure(&mut scene)?;
        ui::line(&format!("round {number}"), &round.text());
        rounds.push(round);
    }
    let n_refreshed = rounds.iter().map(|round| round.ours.n_answers()).sum();
    chains::demand_rotations(&scene.database, n_refreshed)?;
    conclude(workspace, "refresh", &figures(&rounds))
}

/// An issuer and a Better Auth with as many sessions each, on one PostgreSQL.
pub struct Scene {
    /// The peer; stopped before the PostgreSQL, which belongs to the issuer.
    pub peer: BetterAuth,
    /// The issuer.
    pub server: Server,
    database: Database,
    refreshing: Vec<Refreshing>,
    asking: Vec<Asking>,
}

impl Scene {
    /// Starts both and writes the sessions.
    pub fn prepare(workspace: &Workspace, toolbox: &Toolbox, program: &Path) -> Result<Self> {
        let server = Server::start(workspace, toolbox, program)?;
        let database = Database::of(server.data_dir())?;
        let theirs = database.create("better_auth")?;
        let peer = BetterAuth::start(workspace, toolbox, &theirs)?;
        ui::line("sessions", &format!("{N_SESSIONS} each are written first"));
        chains::write(&database, N_SESSIONS)?;
        better_auth::write(&theirs, N_SESSIONS)?;
        let maker = TokenMaker::of(server.data_dir())?;
        Ok(Self {
            refreshing: Refreshing::crowd(&server.url, &maker, N_CLIENTS, 0..N_SESSIONS),
            asking: Asking::crowd(&peer.url, N_CLIENTS, N_SESSIONS),
            peer,
            server,
            database,
        })
    }

    /// Refreshes for so long.
    pub fn refresh(&mut self, lasting: Duration) -> Result<Heard> {
        drive(&self.server.url, &mut self.refreshing, lasting)
    }

    /// Asks Better Auth for access tokens for so long.
    pub fn ask(&mut self, lasting: Duration) -> Result<Heard> {
        drive(&self.peer.url, &mut self.asking, lasting)
    }
}

/// One round: each contestant once.
struct Round {
    /// Bare updates in an hour.
    bare: u64,
    ours: Heard,
    theirs: Heard,
    /// Processor time of issuer and peer for one answer.
    micros: [u64; 2],
}

impl Round {
    fn measure(scene: &mut Scene) -> Result<Self> {
        let bare = scene.database.rate(BARE, N_CLIENTS, LASTING)?;
        let busy_ms = |scene: &Scene| -> Result<[u64; 2]> {
            Ok([
                pid::busy_ms(scene.server.process())?,
                pid::busy_ms(scene.peer.process())?,
            ])
        };
        let before = busy_ms(scene)?;
        let ours = scene.refresh(LASTING)?;
        let theirs = scene.ask(LASTING)?;
        let after = busy_ms(scene)?;
        let micros =
            |i: usize, heard: &Heard| (after[i] - before[i]) * 1000 / heard.n_answers().max(1);
        Ok(Self {
            bare,
            micros: [micros(0, &ours), micros(1, &theirs)],
            ours,
            theirs,
        })
    }

    fn text(&self) -> String {
        format!(
            "{} of bare updates, {} × Better Auth, p99 {} of its; processor time {} and {} µs",
            decimal(ratio(self.ours.rate(), self.bare)),
            decimal(ratio(self.ours.rate(), self.theirs.rate())),
            decimal(ratio(self.ours.p99_micros(), self.theirs.p99_micros())),
            self.micros[0],
            self.micros[1],
        )
    }
}

fn figures(rounds: &[Round]) -> [Figure; 3] {
    let figure = |name: &str, goal, ratio: fn(&Round) -> u64| Figure {
        name: name.to_owned(),
        ratios: rounds.iter().map(ratio).collect(),
        goal,
    };
    [
        figure("refreshes ÷ bare UPDATE", Goal::AtLeast(500), |r| {
            ratio(r.ours.rate(), r.bare)
        }),
        figure("refreshes ÷ Better Auth", Goal::AtLeast(6_000), |r| {
            ratio(r.ours.rate(), r.theirs.rate())
        }),
        figure("p99 ÷ that of Better Auth", Goal::AtMost(250), |r| {
            ratio(r.ours.p99_micros(), r.theirs.p99_micros())
        }),
    ]
}

/// What [`Scene`] needs.
pub const TOOLS: &[Tool] = &[Tool::Node, Tool::Postgres, Tool::BetterAuth];
/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(5);
const N_CLIENTS: usize = 16;
/// So many that none comes up again within ten seconds, as no client's does.
const N_SESSIONS: usize = 60_000;
/// As much as can be said of a row without a rule: it is there and current, and it changes.
const BARE: &str = "\\set any random(1, 60000)
update bench.bare set n = n + 1 where id = :any and n >= 0 returning n;
";
const PREPARE_BARE: &str = "create schema bench;
create table bench.bare (id integer primary key, n bigint not null default 0) with (fillfactor = 80);
insert into bench.bare (id) select g from generate_series(1, 60000) g;
vacuum analyze bench.bare;
checkpoint;
";
