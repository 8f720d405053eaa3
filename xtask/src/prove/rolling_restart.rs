//! Two issuers behind HAProxy, restarted in turn under load: nobody notices.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::chaos::client::Client;
use crate::chaos::parts::{Cluster, Issuer, Process, free_port, scratch, wait_until};
use crate::chaos::{self, PASSWORD};
use crate::issuer;
use crate::setup::Toolbox;
use crate::ui;
use crate::workspace::Workspace;

/// Restarts each issuer twice at 200 requests a second.
pub fn prove(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<String>> {
    let program = issuer::build(workspace)?;
    let folder = workspace.target.join("rolling-restart");
    scratch(&folder)?;
    let cluster = Cluster::start(&program, toolbox, &folder.join("data"))?;
    let mut issuers = Vec::new();
    for name in ["first", "second"] {
        let variables = [
            ("DATABASE_URL", cluster.local_issuer_url()),
            ("DATABASE_OWNER_URL", cluster.owner_url()),
            ("MASTER_KEY", chaos::MASTER_KEY.to_owned()),
            ("JWT_ISSUER", "https://id.example.com".to_owned()),
            ("CREDITS_SIGNUP_BONUS", "1000000".to_owned()),
            ("RATE_LIMIT_SCALE", "1000".to_owned()),
        ];
        let mut issuer = Issuer::new(&program, folder.join(format!("{name}.log")), variables)?;
        issuer.restart()?;
        issuers.push(issuer);
    }
    let (_balancer, address) = balancer(workspace, &folder, &issuers)?;
    let client = Client::new(&address);
    wait_until("HAProxy serves", Duration::from_secs(20), || {
        client.is_ready()
    })?;
    let (is_over, n_done) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..N_WORKERS)
            .map(|worker| {
                let (address, is_over, n_done) = (&address, &is_over, &n_done);
                scope.spawn(move || load(address, worker, is_over, n_done))
            })
            .collect();
        let restarted = restart_all(&mut issuers, &n_done);
        is_over.store(true, Ordering::Relaxed);
        let failed: Vec<String> = workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| vec!["a worker panicked".into()])
            })
            .collect::<Vec<_>>()
            .concat();
        let took = restarted?;
        ensure!(
            failed.is_empty(),
            "{} of {} requests failed: {}",
            failed.len(),
            n_done.load(Ordering::Relaxed),
            failed
                .iter()
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ")
        );
        let n_done = n_done.load(Ordering::Relaxed);
        let per_second = n_done / took.as_secs().max(1);
        ensure!(
            per_second >= RATE * 9 / 10,
            "only {per_second} requests a second"
        );
        Ok(vec![format!(
            "{} restarts, {n_done} requests at {per_second} a second, 0 failed",
            issuers.len() * N_ROUNDS
        )])
    })
}

fn restart_all(issuers: &mut [Issuer], n_done: &AtomicU64) -> Result<Duration> {
    wait_until("the load has begun", Duration::from_secs(60), || {
        n_done.load(Ordering::Relaxed) > RATE
    })?;
    let began = Instant::now();
    n_done.store(0, Ordering::Relaxed);
    for round in 0..N_ROUNDS {
        for (number, issuer) in issuers.iter_mut().enumerate() {
            let code = issuer.stop();
            ensure!(
                code == Some(0),
                "an issuer that was told to stop ended with {code:?}"
            );
            issuer.restart()?;
            ui::line(
                "restarted",
                &format!(
                    "issuer {} of 2, round {} of {N_ROUNDS}",
                    number + 1,
                    round + 1
                ),
            );
            // Two good checks, and the balancer sends requests again.
            thread::sleep(Duration::from_secs(2));
        }
    }
    Ok(began.elapsed())
}

/// Refreshes, charges, reads and asks for keys, each at its time; what failed, in words.
fn load(address: &str, worker: u64, is_over: &AtomicBool, n_done: &AtomicU64) -> Vec<String> {
    let client = Client::new(address);
    let body = json!({"email": format!("rolling{worker}@example.com"), "password": PASSWORD});
    // Twenty people at once are more than the hashing queue takes; who is told to come again does.
    let mut signed_in = None;
    let within = wait_until("signed in", Duration::from_secs(60), || {
        client.post("/auth/register", "", &body);
        signed_in = client
            .post("/auth/login", "", &body)
            .filter(|reply| reply.status == 200);
        signed_in.is_some()
    });
    let (Ok(()), Some(tokens)) = (within, signed_in) else {
        return vec!["signing in failed".into()];
    };
    let access = tokens.text("/accessToken").to_owned();
    let mut refresh = tokens.text("/refreshToken").to_owned();
    let pause = Duration::from_secs(1) * u32::try_from(N_WORKERS).unwrap_or(1) / 200;
    let (mut failed, mut due) = (Vec::new(), Instant::now());
    for turn in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        due += pause;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (what, reply) = match turn % 4 {
            0 => {
                let reply = client.post("/auth/refresh", "", &json!({"refreshToken": refresh}));
                if let Some(reply) = &reply {
                    reply.text("/refreshToken").clone_into(&mut refresh);
                }
                ("refresh", reply)
            }
            1 => {
                let body = json!({"amount": 1, "appId": "test", "description": "work",
                    "idempotencyKey": format!("k{turn}")});
                ("use", client.post("/credits/use", &access, &body))
            }
            2 => ("balance", client.get("/api/v1/credits/balance", &access)),
            _ => ("keys", client.get("/.well-known/jwks.json", "")),
        };
        match reply.map(|reply| reply.status) {
            Some(200) => drop(n_done.fetch_add(1, Ordering::Relaxed)),
            Some(status) => failed.push(format!("{what}: {status}")),
            None => failed.push(format!("{what}: no answer")),
        }
    }
    failed
}

/// HAProxy with the configuration that is published, at other addresses.
fn balancer(workspace: &Workspace, folder: &Path, issuers: &[Issuer]) -> Result<(Process, String)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut text = workspace.read("deploy/haproxy.cfg")?;
    let published = ["127.0.0.1:8080", "127.0.0.1:3001", "127.0.0.1:3002"];
    let ours = [&address, &issuers[0].listen, &issuers[1].listen];
    for (published, ours) in published.into_iter().zip(ours) {
        ensure!(
            text.contains(published),
            "deploy/haproxy.cfg has no {published}"
        );
        text = text.replace(published, ours);
    }
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    let mut command = Command::new("haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("haproxy.log"))?);
    Ok((Process::start(&mut command)?, address))
}

const N_WORKERS: u64 = 20;
/// Requests a second.
const RATE: u64 = 200;
const N_ROUNDS: usize = 2;
