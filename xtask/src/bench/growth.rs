//! What a refresh and a sign-in cost as users and sessions become many.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::chains::{self, Refreshing, TokenMaker};
use super::crowd::{self, Heard, drive, text_of};
use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::load::{self, Client};
use super::pgbench::Database;
use super::server::{self, Server};
use crate::setup::{self, Tool, Toolbox};
use crate::ui;
use crate::workspace::Workspace;

/// Measures each size in turn, several times, and compares with the smallest.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres])?;
    ui::heading(
        "bench growth",
        "refreshes and sign-ins among ten thousand users and among a million",
    );
    let program = server::build(workspace)?;
    // Its PostgreSQL holds the databases of the others; nobody asks it for anything.
    let host = Server::start(workspace, &toolbox, &program)?;
    let database = Database::of(host.data_dir())?;
    let mut sizes = SIZES
        .iter()
        .map(|n_users| Size::prepare(workspace, &toolbox, &program, &database, *n_users))
        .collect::<Result<Vec<_>>>()?;
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round: Vec<Costs> = sizes.iter_mut().map(Size::measure).collect::<Result<_>>()?;
        let text = |cost: fn(&Costs) -> u64| {
            let costs = round.iter().map(|costs| decimal(cost(costs) / 1000));
            costs.collect::<Vec<_>>().join(", ")
        };
        let (refresh, login) = (text(|costs| costs.refresh), text(|costs| costs.login));
        ui::line(
            &format!("round {number}"),
            &format!("milliseconds a refresh {refresh}; a sign-in {login}"),
        );
        rounds.push(round);
    }
    conclude(workspace, "growth", &figures(&rounds))
}

/// An issuer on a database of so many users.
struct Size {
    server: Server,
    refreshing: Vec<Refreshing>,
    signing_in: Vec<SigningIn>,
}

impl Size {
    fn prepare(
        workspace: &Workspace,
        toolbox: &Toolbox,
        program: &Path,
        host: &Database,
        n_users: usize,
    ) -> Result<Self> {
        let database = host.create(&format!("growth_{n_users}"))?;
        let server = Server::start_on(workspace, toolbox, program, Some(&database))?;
        let mut client = Client::connect(&server.url)?;
        client.post("/auth/register", &load::credentials(0), 201)?;
        ui::line("users and sessions", &format!("{n_users} are written"));
        chains::write(&database, n_users)?;
        let maker = TokenMaker::of(server.data_dir())?;
        // From everywhere in the table, and as many at each size.
        let sample = (0..n_users).step_by(n_users / SIZES[0]);
        let refreshing = Refreshing::crowd(&server.url, &maker, N_CLIENTS, sample);
        Ok(Self {
            signing_in: SigningIn::crowd(&server.url, n_users),
            server,
            refreshing,
        })
    }

    fn measure(&mut self) -> Result<Costs> {
        let refreshed = drive(&self.server.url, &mut self.refreshing, LASTING)?;
        let signed_in = drive(&self.server.url, &mut self.signing_in, LASTING)?;
        Ok(Costs {
            refresh: nanos_each(&refreshed),
            login: nanos_each(&signed_in),
        })
    }
}

/// Nanoseconds for one, of all clients together.
struct Costs {
    refresh: u64,
    login: u64,
}

fn nanos_each(heard: &Heard) -> u64 {
    NANOS_AN_HOUR / heard.rate().max(1)
}

/// A client that signs in as one user after the other.
struct SigningIn {
    host: String,
    next: usize,
    step: usize,
    n_users: usize,
}

impl SigningIn {
    /// Clients that share out users from everywhere in the table.
    fn crowd(url: &str, n_users: usize) -> Vec<Self> {
        let step = n_users / N_SIGNED_IN;
        let client = |number| Self {
            host: url.trim_start_matches("http://").to_owned(),
            next: number * step,
            step: N_SIGNING_IN * step,
            n_users,
        };
        (0..N_SIGNING_IN).map(client).collect()
    }
}

impl crowd::Client for SigningIn {
    fn ask(&mut self, request: &mut Vec<u8>) {
        let email = format!("many{}@example.com", self.next);
        let body = json!({ "email": email, "password": load::PASSWORD }).to_string();
        let text = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        request.extend_from_slice(text.as_bytes());
        self.next = (self.next + self.step) % self.n_users;
    }

    fn hear(&mut self, status: u16, body: &str) -> Result<()> {
        ensure!(status == 200, "a sign-in was refused");
        text_of(body, "refreshToken").map(drop)
    }
}

/// Each size against the smallest.
fn figures(rounds: &[Vec<Costs>]) -> Vec<Figure> {
    let figure = |size: usize, what: &str, goal, cost: fn(&Costs) -> u64| Figure {
        name: format!("{what} among {} ÷ among {}", SIZES[size], SIZES[0]),
        ratios: rounds
            .iter()
            .map(|round| ratio(cost(&round[size]), cost(&round[0])))
            .collect(),
        goal,
    };
    vec![
        figure(1, "refresh", Goal::Reported, |costs| costs.refresh),
        figure(2, "refresh", Goal::AtMost(1_300), |costs| costs.refresh),
        figure(1, "sign-in", Goal::Reported, |costs| costs.login),
        figure(2, "sign-in", Goal::Reported, |costs| costs.login),
    ]
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(4);
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const N_CLIENTS: usize = 16;
/// As many as are hashed at once on two cores: what waits is not what is measured.
const N_SIGNING_IN: usize = 2;
/// So many users sign in before the first does again.
const N_SIGNED_IN: usize = 5_000;
const NANOS_AN_HOUR: u64 = 3_600_000_000_000;
