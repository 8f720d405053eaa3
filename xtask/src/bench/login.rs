//! Sign-ins against bare hashing, and what refreshes feel of them.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::load::{self, Client};
use super::server::{self, Server};
use crate::process;
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres])?;
    ui::heading(
        "bench login",
        "sign-ins against bare Argon2id, and refreshes beside them",
    );
    let program = server::build(workspace)?;
    let server = Server::start(workspace, &toolbox, &program)?;
    ui::line("users", &format!("{N_USERS} register and sign in first"));
    let mut chains = prepare(&server.url)?;
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = measure(&program, &server.url, &mut chains)?;
        ui::line(&format!("round {number}"), &round.text());
        rounds.push(round);
    }
    conclude(workspace, "login", &figures(&rounds))
}

/// Users who have signed in before: strangers have half of the slots only.
fn prepare(url: &str) -> Result<Vec<String>> {
    let mut client = Client::connect(url)?;
    for user in 0..N_USERS {
        client.post("/auth/register", &load::credentials(user), 201)?;
        client.login(user)?;
    }
    (0..N_CHAINS).map(|user| client.login(user)).collect()
}

/// One round: each figure once.
struct Round {
    /// Hashes a minute, bare.
    hashes: u64,
    /// Sign-ins a minute.
    logins: u64,
    /// The 99th percentile of refreshes with nothing else to do.
    idle: Duration,
    /// The same beside saturated sign-ins.
    busy: Duration,
}

impl Round {
    fn login_ratio(&self) -> u64 {
        ratio(self.logins, self.hashes)
    }

    fn refresh_ratio(&self) -> u64 {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        ratio(micros(self.busy), micros(self.idle))
    }

    fn text(&self) -> String {
        format!(
            "sign-ins {} of bare hashing; refresh p99 {} times that of an idle issuer",
            decimal(self.login_ratio()),
            decimal(self.refresh_ratio())
        )
    }
}

fn measure(program: &Path, url: &str, chains: &mut [String]) -> Result<Round> {
    let hashes = bare_hashes(program)?;
    let (logins, ()) = saturated(url, || {
        thread::sleep(LASTING);
        Ok(())
    })?;
    let idle = load::refresh(url, chains, REFRESH_RATE, LASTING)?;
    let (_, busy) = saturated(url, || load::refresh(url, chains, REFRESH_RATE, LASTING))?;
    Ok(Round {
        hashes,
        logins,
        idle: p99(idle)?,
        busy: p99(busy)?,
    })
}

/// The same code with the same parameters on the same cores, and nothing else.
fn bare_hashes(program: &Path) -> Result<u64> {
    let secs = LASTING.as_secs().to_string();
    let mut command = Command::new(program);
    command.args(["calibrate", "--json", "--rate-secs", &secs]);
    let text = process::capture(&mut command)?;
    let answer: serde_json::Value = serde_json::from_str(&text)?;
    let n_hashed = answer["hashed"]
        .as_u64()
        .context("hashes were not counted")?;
    Ok(n_hashed * 60 / LASTING.as_secs())
}

/// Sign-ins a minute while `work` runs.
fn saturated<T>(url: &str, work: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let began = Instant::now();
        let signing_in = scope.spawn(|| load::sign_in(url, N_CONNECTIONS, N_USERS, &over));
        let result = work();
        over.store(true, Ordering::Relaxed);
        let n_done = match signing_in.join() {
            Ok(n_done) => n_done?,
            Err(_) => bail!("the load panicked"),
        };
        let millis = u64::try_from(began.elapsed().as_millis())?;
        Ok((n_done * 60_000 / millis.max(1), result?))
    })
}

fn p99(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    let index = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(index).copied().context("nothing was measured")
}

fn figures(rounds: &[Round]) -> [Figure; 2] {
    let ratios = |ratio: fn(&Round) -> u64| rounds.iter().map(ratio).collect();
    [
        Figure {
            name: "sign-ins ÷ bare Argon2id".into(),
            ratios: ratios(Round::login_ratio),
            goal: Goal::AtLeast(950),
        },
        Figure {
            name: "refresh p99, busy ÷ idle".into(),
            ratios: ratios(Round::refresh_ratio),
            goal: Goal::AtMost(6_000),
        },
    ]
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(5);
/// So many that nobody gathers more sessions in a run than people have.
const N_USERS: usize = 256;
const N_CONNECTIONS: usize = 16;
const N_CHAINS: usize = 10;
const REFRESH_RATE: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_that_of_the_slowest_hundredth() {
        let times = |n: u64| (1..=n).map(Duration::from_millis).collect();
        assert_eq!(p99(times(100)).unwrap(), Duration::from_millis(99));
        assert_eq!(p99(times(250)).unwrap(), Duration::from_millis(248));
        assert_eq!(p99(times(1)).unwrap(), Duration::from_millis(1));
        assert!(p99(Vec::new()).is_err());
    }
}
