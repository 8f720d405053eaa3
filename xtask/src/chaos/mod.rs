//! `cargo xtask chaos`: everything fails under load, and afterwards everything acknowledged is there,
//! once.
//!
//! Two issuers, PostgreSQL (which writes to its disk in earnest), Redis and a mail server are real
//! processes; proxies of ours stand between them. People register, sign in, refresh, sign out, spend,
//! hold, capture, release, ask for mails and read, and remember each answer; meanwhile lines are cut
//! and processes killed. What was acknowledged must be there at the end; what is in doubt is asked
//! for again with the same key and must then have happened once.

pub mod client;
mod faults;
mod mail;
pub mod parts;
pub mod person;
mod proxy;
pub mod rng;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::issuer;
use crate::setup::{self, Tool, Toolbox};
use crate::ui::{self, Progress};
use crate::workspace::Workspace;
use client::Client;
use faults::{FAULTS, Fault};
use mail::MailServer;
use parts::{Cluster, Issuer, Redis, scratch, wait_until};
use person::{Counts, Person};
use proxy::{Proxy, Target};
use rng::Rng;

/// What was asked for on the command line.
#[derive(Debug, Eq, PartialEq)]
pub struct Options {
    /// How long faults go on.
    pub lasting: Duration,
    /// Chooses faults and acts.
    pub seed: u64,
    /// How soon things must be well.
    pub limits: Limits,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// An answer while something is away.
    pub answer: Duration,
    /// From the end of a fault until every issuer writes again.
    pub recovery: Duration,
}

impl Options {
    /// Reads `--minutes N` and `--seed S`.
    pub fn parse(mut args: &[&str]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut options = Self {
            lasting: Duration::from_secs(5 * 60),
            seed: u64::from(now.subsec_nanos()),
            limits: STRICT,
        };
        while let [name, value, rest @ ..] = args {
            match *name {
                "--minutes" => {
                    let minutes = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=MOST_MINUTES).contains(n));
                    let minutes: u64 = minutes.with_context(|| {
                        format!("--minutes takes a number from 1 to {MOST_MINUTES}, not {value}")
                    })?;
                    options.lasting = Duration::from_secs(minutes * 60);
                }
                "--seed" => {
                    let seed = value.parse();
                    options.seed = seed.ok().context("--seed takes a whole number")?;
                }
                _ => bail!("chaos takes --minutes N and --seed S, not {name}"),
            }
            args = rest;
        }
        ensure!(args.is_empty(), "{} takes a value", args.join(" "));
        Ok(options)
    }

    /// What `cargo xtask test` runs. The machine may be busy with anything: what is measured there
    /// is that nothing hangs.
    pub fn quick() -> Self {
        Self {
            lasting: Duration::from_secs(20),
            seed: 1,
            limits: Limits {
                answer: Duration::from_secs(5),
                recovery: Duration::from_secs(20),
            },
        }
    }
}

/// Runs it and prints what was found; an error names each finding.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres, Tool::Redis])?;
    run_with(workspace, &toolbox, options)
}

/// The same with tools that are there.
pub fn run_with(workspace: &Workspace, toolbox: &Toolbox, options: &Options) -> Result<()> {
    let program = issuer::build(workspace)?;
    ui::line("seed", &options.seed.to_string());
    let mut system = System::start(workspace, toolbox, &program, options.limits)?;
    let mut report = Report::default();
    let mut people = fail_under_load(&mut system, options, &mut report)?;
    check(&system, &mut people, &mut report)?;
    report.print(options);
    let n_findings = report.findings.len();
    report.findings.truncate(MOST_SHOWN);
    ensure!(
        n_findings == 0,
        "{n_findings} findings with seed {}:\n{}",
        options.seed,
        report.findings.join("\n")
    );
    Ok(())
}

/// Everything that runs.
struct System {
    issuers: Vec<Issuer>,
    redis: Redis,
    cluster: Cluster,
    mail: MailServer,
    database_proxy: Proxy,
    redis_proxy: Proxy,
    mail_proxy: Proxy,
    limits: Limits,
    probe: Probe,
}

impl System {
    fn start(
        workspace: &Workspace,
        toolbox: &Toolbox,
        program: &Path,
        limits: Limits,
    ) -> Result<Self> {
        let folder = workspace.target.join("chaos");
        scratch(&folder)?;
        let mut progress = Progress::begin("two issuers, PostgreSQL, Redis, mail server");
        progress.tick("making a database");
        let cluster = Cluster::start(program, toolbox, &folder.join("data"))?;
        let (redis, mail) = (Redis::start()?, MailServer::start()?);
        let database_proxy = Proxy::start(Target::Socket(cluster.socket_file()))?;
        let redis_proxy = Proxy::start(Target::Port(redis.port))?;
        let mail_proxy = Proxy::start(Target::Port(mail.port))?;
        let mut issuers = Vec::new();
        for name in ["first", "second"] {
            let variables = [
                ("DATABASE_URL", cluster.issuer_url(database_proxy.port)),
                ("DATABASE_OWNER_URL", cluster.owner_url()),
                (
                    "REDIS_URL",
                    format!("redis://127.0.0.1:{}/0", redis_proxy.port),
                ),
                ("SMTP_URL", format!("smtp://127.0.0.1:{}", mail_proxy.port)),
                ("MAIL_FROM", "Chaos <no-reply@example.com>".to_owned()),
                ("EMAIL_VERIFICATION", "off".to_owned()),
                ("MASTER_KEY", MASTER_KEY.to_owned()),
                ("JWT_ISSUER", "https://id.example.com".to_owned()),
                ("ACCESS_TOKEN_TTL", "3600".to_owned()),
                ("CREDITS_SIGNUP_BONUS", BONUS.to_string()),
                ("CREDITS_DAILY_FREE", "0".to_owned()),
                ("RATE_LIMIT_SCALE", "1000".to_owned()),
                ("SHUTDOWN_NOTICE", "1".to_owned()),
            ];
            let mut issuer = Issuer::new(program, folder.join(format!("{name}.log")), variables)?;
            issuer.restart()?;
            issuers.push(issuer);
        }
        let probe = Probe::new(&Client::new(&issuers[0].listen))?;
        progress.end("run");
        Ok(Self {
            issuers,
            redis,
            cluster,
            mail,
            database_proxy,
            redis_proxy,
            mail_proxy,
            limits,
            probe,
        })
    }

    fn clients(&self) -> Vec<Client> {
        let listening = self.issuers.iter();
        listening
            .map(|issuer| Client::new(&issuer.listen))
            .collect()
    }
}

/// Somebody who spends a credit now and then to see whether that works.
struct Probe {
    token: String,
    n_spent: AtomicU64,
}

impl Probe {
    fn new(client: &Client) -> Result<Self> {
        let body = json!({"email": "probe@example.com", "password": PASSWORD});
        client
            .post("/auth/register", "", &body)
            .context("registering")?;
        let signed_in = client
            .post("/auth/login", "", &body)
            .context("signing in")?;
        Ok(Self {
            token: signed_in.text("/accessToken").to_owned(),
            n_spent: AtomicU64::new(0),
        })
    }

    fn spends(&self, client: &Client) -> bool {
        let n = self.n_spent.fetch_add(1, Ordering::Relaxed);
        let body = json!({"amount": 1, "appId": "probe", "description": "probe",
            "idempotencyKey": format!("probe-{n}")});
        let reply = client.post("/credits/use", &self.token, &body);
        reply.is_some_and(|reply| reply.status == 200)
    }
}

/// What happened.
#[derive(Default)]
struct Report {
    /// How often each fault happened, and the longest recovery from it.
    faults: BTreeMap<String, (u32, Duration)>,
    counts: Counts,
    n_people: usize,
    mails: (usize, usize),
    findings: Vec<String>,
}

impl Report {
    fn note(&mut self, fault: Fault, found: Result<Duration>, limits: Limits) {
        let (n, longest) = self.faults.entry(fault.name()).or_default();
        *n += 1;
        match found {
            Ok(took) => {
                *longest = took.max(*longest);
                if took > limits.recovery {
                    let late = format!("{}: back after {took:?}", fault.name());
                    self.findings.push(late);
                }
            }
            Err(error) => self.findings.push(format!("{}: {error:#}", fault.name())),
        }
    }

    fn print(&self, options: &Options) {
        let header = ["fault", "times", "back within"]
            .map(str::to_owned)
            .to_vec();
        let rows = self.faults.iter().map(|(name, (n, longest))| {
            vec![
                name.clone(),
                n.to_string(),
                format!("{} ms", longest.as_millis()),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        println!("\n{}", ui::table(&rows));
        let n_faults: u32 = self.faults.values().map(|(n, _)| n).sum();
        let (n_mails, n_twice) = self.mails;
        for (what, state) in [
            ("seed", options.seed.to_string()),
            ("faults", n_faults.to_string()),
            ("people", self.n_people.to_string()),
            ("acknowledged", self.counts.n_acknowledged.to_string()),
            ("in doubt, then settled", self.counts.n_unknown.to_string()),
            (
                "mails",
                format!("{n_mails}, {n_twice} of them more than once"),
            ),
            ("findings", self.findings.len().to_string()),
        ] {
            ui::line(what, &state);
        }
    }
}

/// People act on threads of their own while faults happen one after the other.
fn fail_under_load(
    system: &mut System,
    options: &Options,
    report: &mut Report,
) -> Result<Vec<Person>> {
    let rng = Rng::new(options.seed);
    let is_over = AtomicBool::new(false);
    let people = Mutex::new(Vec::new());
    let clients = system.clients();
    thread::scope(|scope| {
        for worker in 0..N_WORKERS {
            let (clients, is_over, people) = (&clients, &is_over, &people);
            let rng = rng.part(worker + 1);
            scope.spawn(move || {
                let found = act(clients, worker, rng, is_over);
                people
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .extend(found);
            });
        }
        let_happen(system, options, report, rng.part(0));
        is_over.store(true, Ordering::Relaxed);
    });
    people.into_inner().ok().context("a worker panicked")
}

/// First each fault once as far as time allows, in an order of the seed; then any.
fn let_happen(system: &mut System, options: &Options, report: &mut Report, mut rng: Rng) {
    let mut progress = Progress::begin("faults under load");
    let mut waiting = Vec::new();
    let began = Instant::now();
    thread::sleep(CALM);
    while began.elapsed() < options.lasting {
        if waiting.is_empty() {
            waiting = FAULTS.to_vec();
        }
        let fault = waiting.swap_remove(rng.below(waiting.len()));
        progress.tick(&fault.name());
        let found = fault.happen(system, &mut rng);
        report.note(fault, found, options.limits);
        thread::sleep(CALM);
    }
    // However short the run: as when the power goes.
    let found = Fault::KillAll.happen(system, &mut rng);
    report.note(Fault::KillAll, found, options.limits);
    progress.end("over");
}

fn act(clients: &[Client], worker: u64, mut rng: Rng, is_over: &AtomicBool) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let client = rng.pick(clients).clone();
        let number = rng.below(people.len() + 1);
        if let Some(person) = people.get_mut(number) {
            person.act(&client, &mut rng);
        } else if people.len() < MOST_PEOPLE {
            let name = format!("chaos-{worker}-{}", people.len());
            people.extend(Person::register(&client, &name));
        }
        thread::sleep(PAUSE);
    }
    people
}

/// Everything is well again: is everything there?
fn check(system: &System, people: &mut [Person], report: &mut Report) -> Result<()> {
    let mut progress = Progress::begin("what was acknowledged");
    let clients = system.clients();
    progress.tick("mails");
    drain(system)?;
    let written = mails_written(system)?;
    progress.tick("everybody asks again");
    thread::scope(|scope| {
        for (number, part) in people.chunks_mut(MOST_PEOPLE).enumerate() {
            let (written, client) = (&written, &clients[number % clients.len()]);
            scope.spawn(move || {
                for person in part {
                    let n_mails = written.get(person.email()).copied().unwrap_or(0);
                    person.check(client, n_mails, BONUS);
                }
            });
        }
    });
    for person in &mut *people {
        report.counts.n_acknowledged += person.counts.n_acknowledged;
        report.counts.n_unknown += person.counts.n_unknown;
        report.findings.append(&mut person.findings);
    }
    report.n_people = people.len();
    ensure!(!people.is_empty(), "nobody was registered");
    let delivered = system.cluster.run(
        "select count(*) from auth.outbox where topic = 'mail' and delivered_at is not null",
    )?;
    report.mails = system.mail.count();
    if delivered.trim() != report.mails.0.to_string() {
        let found = format!(
            "{} mails are noted as sent, {} came",
            delivered.trim(),
            report.mails.0
        );
        report.findings.push(found);
    }
    for arguments in [
        ["credits", "reconcile", "--json"],
        ["audit", "verify", "--json"],
    ] {
        progress.tick(&arguments.join(" "));
        let mut last = None;
        // The trail is sealed within a second of the last event.
        let clean = wait_until("clean", SEALED_WITHIN, || {
            last = crate::process::capture(&mut system.issuers[0].command(&arguments)).err();
            last.is_none()
        });
        if let (Err(_), Some(error)) = (clean, last) {
            report
                .findings
                .push(format!("{}: {error:#}", arguments.join(" ")));
        }
    }
    progress.end("checked");
    Ok(())
}

/// A mail that could not be sent waits for seconds, and one whose sender was killed for minutes:
/// the wait is taken away, and nothing else.
fn drain(system: &System) -> Result<()> {
    wait_until("mails are sent", DRAINED_WITHIN, || {
        let waiting = system.cluster.run(
            "update auth.outbox set available_at = clock_timestamp() \
              where topic = 'mail' and delivered_at is null and dead_at is null \
                and available_at > clock_timestamp() + interval '2 s'; \
             select count(*) from auth.outbox \
              where topic = 'mail' and delivered_at is null and dead_at is null",
        );
        thread::sleep(CALM);
        waiting.is_ok_and(|n| n.trim() == "0")
    })
}

/// How many mails about a forgotten password were written to each address.
fn mails_written(system: &System) -> Result<BTreeMap<String, usize>> {
    let rows = system.cluster.run(
        "select u.email || ' ' || count(*) from auth.outbox o join auth.users u on u.id = o.user_id \
          where o.topic = 'mail' and o.payload ->> 'template' = 'reset_password' group by u.email",
    )?;
    rows.lines()
        .map(|row| {
            let (email, n) = row.split_once(' ').context("a row of two")?;
            Ok((email.to_owned(), n.parse()?))
        })
        .collect()
}

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// Any 32 bytes.
pub const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// What everybody begins with: more than can be spent.
pub const BONUS: i64 = 1_000_000;
const N_WORKERS: u64 = 6;
/// Of each worker.
const MOST_PEOPLE: usize = 8;
/// Between two acts of a worker, so that hashing does not take the machine.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two faults.
const CALM: Duration = Duration::from_millis(500);
/// What design demands: within two seconds, and what a process needs to say so.
const STRICT: Limits = Limits {
    answer: Duration::from_millis(2500),
    recovery: Duration::from_secs(2),
};
/// Access tokens last an hour, and nobody is to sign in again because of the time.
const MOST_MINUTES: u64 = 50;
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
const SEALED_WITHIN: Duration = Duration::from_secs(15);
const MOST_SHOWN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_refused_with_what_they_take() {
        let options = Options::parse(&["--minutes", "3", "--seed", "9"]).unwrap();
        assert_eq!((options.lasting.as_secs(), options.seed), (180, 9));
        assert_eq!(Options::parse(&[]).unwrap().lasting.as_secs(), 300);
        for bad in [
            &["--minutes"][..],
            &["--minutes", "0"],
            &["--minutes", "51"],
            &["--seed", "x"],
            &["--loud", "1"],
        ] {
            assert!(Options::parse(bad).is_err(), "{bad:?}");
        }
    }
}
