//! What is made to fail, how it is seen while it lasts, and how soon it is forgotten.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::System;
use super::client::{Client, timed};
use super::parts::wait_until;
use super::proxy::Weather;
use super::rng::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The way to PostgreSQL.
    Database(Weather),
    /// The way to Redis.
    Redis(Weather),
    /// The way to the mail server.
    Mail(Weather),
    /// `kill -9` of PostgreSQL.
    KillDatabase,
    /// `kill -9` of Redis.
    KillRedis,
    /// `kill -9` of one issuer.
    KillIssuer,
    /// One issuer is told to stop.
    StopIssuer,
    /// `kill -9` of everything at once.
    KillAll,
}

/// All of them.
pub const FAULTS: [Fault; 17] = [
    Fault::KillAll,
    Fault::Database(Weather::Refuse),
    Fault::Database(Weather::Swallow),
    Fault::Database(Weather::Delay),
    Fault::Database(Weather::Cut),
    Fault::Redis(Weather::Refuse),
    Fault::Redis(Weather::Swallow),
    Fault::Redis(Weather::Delay),
    Fault::Redis(Weather::Cut),
    Fault::Mail(Weather::Refuse),
    Fault::Mail(Weather::Swallow),
    Fault::Mail(Weather::Delay),
    Fault::Mail(Weather::Cut),
    Fault::KillDatabase,
    Fault::KillRedis,
    Fault::KillIssuer,
    Fault::StopIssuer,
];

impl Fault {
    /// What the table calls it.
    pub fn name(self) -> String {
        let way = |what: &str, weather: Weather| {
            let how = match weather {
                Weather::Fair => "fair",
                Weather::Refuse => "refused",
                Weather::Swallow => "swallowed",
                Weather::Delay => "slow",
                Weather::Cut => "cut in answers",
            };
            format!("{what} {how}")
        };
        match self {
            Self::Database(weather) => way("PostgreSQL", weather),
            Self::Redis(weather) => way("Redis", weather),
            Self::Mail(weather) => way("mail server", weather),
            Self::KillDatabase => "kill -9 PostgreSQL".into(),
            Self::KillRedis => "kill -9 Redis".into(),
            Self::KillIssuer => "kill -9 an issuer".into(),
            Self::StopIssuer => "an issuer stops".into(),
            Self::KillAll => "kill -9 everything".into(),
        }
    }

    /// Lets it happen for a while and ends it. How long the service took to come back.
    pub fn happen(self, system: &mut System, rng: &mut Rng) -> Result<Duration> {
        let lasting = Duration::from_millis(400 + rng.next() % 1600);
        let chosen = rng.below(system.issuers.len());
        match self {
            Self::Database(weather) => {
                system.database_proxy.set(weather);
                let seen = seen_without_database(system, weather, lasting);
                system.database_proxy.set(Weather::Fair);
                seen?;
            }
            Self::Redis(weather) => {
                system.redis_proxy.set(weather);
                thread::sleep(lasting);
                goes_on(system, weather != Weather::Swallow)?;
                system.redis_proxy.set(Weather::Fair);
            }
            Self::Mail(weather) => {
                system.mail_proxy.set(weather);
                thread::sleep(lasting);
                goes_on(system, true)?;
                system.mail_proxy.set(Weather::Fair);
            }
            Self::KillDatabase => {
                system.cluster.kill();
                thread::sleep(lasting);
                system.cluster.restart()?;
            }
            Self::KillRedis => {
                system.redis.kill();
                thread::sleep(lasting);
                goes_on(system, true)?;
                system.redis.restart()?;
            }
            Self::KillIssuer => {
                system.issuers[chosen].kill();
                thread::sleep(lasting);
                system.issuers[chosen].restart()?;
            }
            Self::StopIssuer => {
                let code = system.issuers[chosen].stop();
                ensure!(
                    code == Some(0),
                    "an issuer that was told to stop ended with {code:?}"
                );
                system.issuers[chosen].restart()?;
            }
            Self::KillAll => {
                kill_all(system);
                thread::sleep(lasting);
                start_all(system)?;
            }
        }
        recovered(system)
    }
}

/// As a machine without power would, except for what the disk has not written.
fn kill_all(system: &mut System) {
    for issuer in &mut system.issuers {
        issuer.kill();
    }
    system.redis.kill();
    system.cluster.kill();
}

fn start_all(system: &mut System) -> Result<()> {
    system.cluster.restart()?;
    system.redis.restart()?;
    for issuer in &mut system.issuers {
        issuer.begin()?;
    }
    system
        .issuers
        .iter_mut()
        .try_for_each(super::parts::Issuer::wait_until_ready)
}

/// Keys, feed and health go on; the rest says within two seconds that it cannot.
fn seen_without_database(system: &System, weather: Weather, lasting: Duration) -> Result<()> {
    thread::sleep(lasting);
    if !matches!(weather, Weather::Refuse | Weather::Swallow) {
        return Ok(());
    }
    for issuer in &system.issuers {
        let client = Client::new(&issuer.listen);
        for path in [
            "/.well-known/jwks.json",
            "/.well-known/revocations",
            "/health",
        ] {
            let (reply, took) = timed(|| client.get(path, ""));
            let status = reply.map(|reply| reply.status);
            ensure!(
                status == Some(200) && took < system.limits.answer,
                "without PostgreSQL {path} answered {status:?} after {took:?}"
            );
        }
        let body = json!({"email": "nobody@example.com", "password": super::PASSWORD});
        let (reply, took) = timed(|| client.post("/auth/login", "", &body));
        let seen = reply.map(|reply| (reply.status, reply.has_retry_after));
        ensure!(
            seen == Some((503, true)) && took < system.limits.answer,
            "without PostgreSQL signing in answered {seen:?} after {took:?}"
        );
    }
    Ok(())
}

/// Nothing that users see depends on what is away.
fn goes_on(system: &System, is_known_at_once: bool) -> Result<()> {
    for issuer in &system.issuers {
        let body = json!({"email": "nobody@example.com", "password": super::PASSWORD});
        let client = Client::new(&issuer.listen);
        let (reply, took) = timed(|| client.post("/auth/login", "", &body));
        let status = reply.map(|reply| reply.status);
        ensure!(
            status == Some(401) && (took < system.limits.answer || !is_known_at_once),
            "signing in answered {status:?} after {took:?}"
        );
    }
    Ok(())
}

/// Every issuer is ready and writes again.
fn recovered(system: &System) -> Result<Duration> {
    let (result, took) = timed(|| {
        wait_until("the service is back", NEVER_AGAIN, || {
            system.issuers.iter().all(|issuer| {
                let client = Client::new(&issuer.listen);
                client.is_ready() && system.probe.spends(&client)
            })
        })
    });
    result?;
    Ok(took)
}

/// Longer than any recovery: it has failed.
const NEVER_AGAIN: Duration = Duration::from_secs(60);
