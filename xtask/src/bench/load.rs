//! Load on the issuer: sign-ins as fast as they go, refreshes at a steady rate.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// A connection that is kept, as a client keeps it. No library between: the load runs on the
/// cores that are measured, and what it costs would count as the issuer's.
pub struct Client {
    host: String,
    authorization: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to an address such as `http://127.0.0.1:3001`.
    pub fn connect(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("an http address")?;
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            host: host.to_owned(),
            authorization: String::new(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends this access token with every request.
    pub fn with_token(mut self, token: &str) -> Self {
        self.authorization = format!("authorization: Bearer {token}\r\n");
        self
    }

    /// POST under `/api/v1`; demands this status.
    pub fn post(&mut self, path: &str, body: &Value, status: u16) -> Result<Value> {
        let body = body.to_string();
        let request = format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: {}\r\n{}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            self.authorization,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (found, text) = self.answer().context(path.to_owned())?;
        ensure!(found == status, "{path} answered {found}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Status and body of an answer that says its length, as each of the issuer's does.
    fn answer(&mut self) -> Result<(u16, String)> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body)?))
    }

    /// Signs in; the refresh token.
    pub fn login(&mut self, user: usize) -> Result<String> {
        let answer = self.post("/auth/login", &credentials(user), 200)?;
        member(&answer, "refreshToken")
    }
}

/// What a user signs in with.
pub fn credentials(user: usize) -> Value {
    json!({ "email": format!("user{user}@example.com"), "password": PASSWORD })
}

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery";

/// Signs in over so many connections until told to stop; how often it worked.
pub fn sign_in(url: &str, n_connections: usize, n_users: usize, over: &AtomicBool) -> Result<u64> {
    let n_done = AtomicU64::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..n_connections)
            .map(|worker| {
                let n_done = &n_done;
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(url)?;
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
    let mut client = Client::connect(url)?;
    let mut times = Vec::new();
    let mut due = first;
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = client.post("/auth/refresh", &json!({ "refreshToken": chain }), 200)?;
        times.push(due.elapsed());
        let successor = member(&answer, "refreshToken")?;
        ensure!(
            successor != *chain,
            "a refresh answered the token it was given"
        );
        *chain = successor;
        due += pause;
    }
    Ok(times)
}

/// A member that must be text.
pub fn member(answer: &Value, name: &str) -> Result<String> {
    let text = answer[name].as_str().map(str::to_owned);
    text.with_context(|| format!("no {name} in the answer"))
}

/// What a worker found.
pub fn join<T>(worker: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker
        .join()
        .map_err(|_| anyhow::anyhow!("a worker panicked"))?
}
