//! Load on the issuer: sign-ins as fast as they go, refreshes at a steady rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

/// A connection that is kept, as a client keeps it.
pub struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// Connects with the first request.
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build();
        Self {
            agent: config.new_agent(),
            url: url.to_owned(),
        }
    }

    /// POST under `/api/v1/auth`; demands this status.
    pub fn post(&self, path: &str, body: &Value, status: u16) -> Result<Value> {
        let url = format!("{}/api/v1/auth{path}", self.url);
        let request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        let mut answer = request.send(body.to_string()).context(path.to_owned())?;
        let text = answer.body_mut().read_to_string()?;
        let found = answer.status().as_u16();
        ensure!(found == status, "{path} answered {found}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Signs in; the refresh token.
    pub fn login(&self, user: usize) -> Result<String> {
        let answer = self.post("/login", &credentials(user), 200)?;
        token(&answer)
    }
}

/// What a user signs in with.
pub fn credentials(user: usize) -> Value {
    json!({ "email": format!("user{user}@example.com"), "password": "correct horse battery" })
}

/// Signs in over so many connections until told to stop; how often it worked.
pub fn sign_in(url: &str, n_connections: usize, n_users: usize, over: &AtomicBool) -> Result<u64> {
    let n_done = AtomicU64::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..n_connections)
            .map(|worker| {
                let n_done = &n_done;
                scope.spawn(move || -> Result<()> {
                    let client = Client::new(url);
                    let mut user = worker;
                    while !over.load(Ordering::Relaxed) {
                        client.login(user % n_users)?;
                        n_done.fetch_add(1, Ordering::Relaxed);
                        user += n_connections;
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(join)
    })?;
    Ok(n_done.into_inner())
}

/// Refreshes at a steady rate, each chain of tokens on a connection of its own. The time of a
/// request counts from when it was due, so that one that could not be sent is not passed over.
pub fn refresh(
    url: &str,
    chains: &mut [String],
    rate: u32,
    lasting: Duration,
) -> Result<Vec<Duration>> {
    let n_chains = u32::try_from(chains.len())?;
    let pause = Duration::from_secs(1) * n_chains / rate;
    let began = Instant::now();
    let mut times = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..n_chains)
            .zip(chains)
            .map(|(i, chain)| {
                let first = began + pause * i / n_chains;
                scope.spawn(move || refresh_chain(url, chain, (first, began + lasting), pause))
            })
            .collect();
        for worker in workers {
            times.extend(join(worker)?);
        }
        Ok(())
    })?;
    Ok(times)
}

fn refresh_chain(
    url: &str,
    chain: &mut String,
    (first, end): (Instant, Instant),
    pause: Duration,
) -> Result<Vec<Duration>> {
    let client = Client::new(url);
    let mut times = Vec::new();
    let mut due = first;
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = client.post("/refresh", &json!({ "refreshToken": chain }), 200)?;
        times.push(due.elapsed());
        let successor = token(&answer)?;
        ensure!(
            successor != *chain,
            "a refresh answered the token it was given"
        );
        *chain = successor;
        due += pause;
    }
    Ok(times)
}

fn token(answer: &Value) -> Result<String> {
    let token = answer["refreshToken"].as_str();
    token.map(str::to_owned).context("no refresh token")
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker
        .join()
        .map_err(|_| anyhow::anyhow!("a worker panicked"))?
}
