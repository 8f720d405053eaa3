//! The two ends of a measured gateway: the client, and the backend it protects. Both are as small
//! as can be, because they share a core.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::load::join;

/// One access token as a whole request.
pub struct Shot {
    /// Whom the token names.
    pub user: String,
    /// The session of the token.
    pub session: String,
    /// Whether its signature was spoiled.
    pub forged: bool,
    /// Which of the keys signed it, counted from 1.
    pub generation: u64,
    request: Vec<u8>,
}

/// What came back.
pub struct Seen<'a> {
    /// When the request was sent.
    pub sent: Instant,
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: &'a str,
}

/// Says what is wrong about an answer, if anything is.
pub type Check<'a> = &'a (dyn Fn(&Shot, &Seen<'_>) -> Result<()> + Sync);

/// How hard to drive.
pub struct Drive<'a> {
    /// The gateway's port.
    pub port: u16,
    /// What to send, one after the other, then again from the start.
    pub shots: &'a [Shot],
    /// Where to go on, so that a token comes back only when all others have.
    pub next: &'a AtomicUsize,
    /// How many requests a second, all connections together; as fast as it goes without.
    pub rate: Option<u64>,
    /// For how long.
    pub lasting: Duration,
}

/// Reads the tokens of a file, and spoils the signature of one in so many.
pub fn shots(file: &Path, generation: u64) -> Result<Vec<Shot>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    text.lines()
        .enumerate()
        .map(|(i, line)| shot(line, generation, i % FORGED_EVERY == FORGED_EVERY - 1))
        .collect()
}

fn shot(line: &str, generation: u64, forged: bool) -> Result<Shot> {
    let mut words = line.split(' ');
    let mut word = || words.next().context("user, session and token");
    let (user, session, token) = (word()?.to_owned(), word()?.to_owned(), word()?);
    let token = if forged {
        spoiled(token)
    } else {
        token.to_owned()
    };
    let request = format!(
        "GET /api/orders?page=2 HTTP/1.1\r\nhost: gateway.example\r\nuser-agent: Mozilla/5.0 \
         (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\naccept: application/json\r\n\
         accept-language: en-GB,en;q=0.7\r\ncf-connecting-ip: 203.0.113.9\r\n\
         x-auth-user: {INTRUDER}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    Ok(Shot {
        user,
        session,
        forged,
        generation,
        request: request.into_bytes(),
    })
}

/// The token with another character within its signature.
fn spoiled(token: &str) -> String {
    let at = token.len() - SPOILED_FROM_END;
    let other = if token[at..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// Sends requests over kept connections; how many were answered as they must be. The first that
/// was not ends it.
pub fn drive(drive: &Drive<'_>, check: Check<'_>) -> Result<u64> {
    let n_done = AtomicU64::new(0);
    let until = Instant::now() + drive.lasting;
    let pause = drive
        .rate
        .map(|rate| Duration::from_secs(N_CONNECTIONS) / u32::try_from(rate).unwrap_or(u32::MAX));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..N_CONNECTIONS)
            .map(|_| scope.spawn(|| send_until(drive, until, pause, check, &n_done)))
            .collect();
        workers.into_iter().try_for_each(join)
    })?;
    Ok(n_done.into_inner())
}

fn send_until(
    drive: &Drive<'_>,
    until: Instant,
    pause: Option<Duration>,
    check: Check<'_>,
    n_done: &AtomicU64,
) -> Result<()> {
    let mut connection = Connection::open(drive.port)?;
    let mut due = Instant::now();
    while due < until && Instant::now() < until {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let index = drive.next.fetch_add(1, Ordering::Relaxed) % drive.shots.len();
        let shot = &drive.shots[index];
        connection.fire(shot, check)?;
        n_done.fetch_add(1, Ordering::Relaxed);
        due = pause.map_or(due, |pause| due + pause);
    }
    Ok(())
}

/// Sends one request over a connection of its own.
pub fn once(port: u16, shot: &Shot, check: Check<'_>) -> Result<()> {
    Connection::open(port)?.fire(shot, check)
}

/// A connection that is kept, and what was read from it last.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    fn fire(&mut self, shot: &Shot, check: Check<'_>) -> Result<()> {
        let sent = Instant::now();
        let (status, body) = self.ask(&shot.request)?;
        check(shot, &Seen { sent, status, body })
    }

    /// Status and body of the answer, which must say its length and fit the buffer.
    fn ask(&mut self, request: &[u8]) -> Result<(u16, &str)> {
        self.stream.write_all(request)?;
        let mut read = 0;
        loop {
            let n = self.stream.read(&mut self.buffer[read..])?;
            ensure!(n > 0, "the gateway closed the connection");
            read += n;
            let Some(end) = head_end(&self.buffer[..read]) else {
                continue;
            };
            let head = str::from_utf8(&self.buffer[..end])?;
            let length: usize = header(head, "content-length")
                .with_context(|| format!("no length in: {head}"))?
                .parse()?;
            if read < end + length {
                continue;
            }
            let status = head.split(' ').nth(1).context("no status")?.parse()?;
            return Ok((status, str::from_utf8(&self.buffer[end..end + length])?));
        }
    }
}

/// Starts a backend that answers with the identity it was told of. It ends with this process.
pub fn start_backend() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the gateway's to notice.
            thread::spawn(move || answer_all(stream));
        }
    });
    Ok(port)
}

fn answer_all(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut read = 0;
    loop {
        let n = stream.read(&mut buffer[read..])?;
        if n == 0 {
            return Ok(());
        }
        read += n;
        while let Some(end) = head_end(&buffer[..read]) {
            let head = str::from_utf8(&buffer[..end])?;
            let identity = header(head, "x-auth-user").unwrap_or(NOBODY);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{identity}",
                identity.len()
            );
            stream.write_all(answer.as_bytes())?;
            buffer.copy_within(end..read, 0);
            read -= end;
        }
        ensure!(
            read < buffer.len(),
            "a request larger than any that is sent"
        );
    }
}

/// Where the head ends, the empty line included.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    bytes
        .windows(end.len())
        .position(|window| window == end)
        .map(|at| at + end.len())
}

/// The value of a header, by its lower-case name.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The answer of a gateway that verifies: the caller's own name, and 401 for a forgery.
pub fn verified(shot: &Shot, seen: &Seen<'_>) -> Result<()> {
    match shot.forged {
        true => expect(seen, 401, None),
        false => expect(seen, 200, Some(&shot.user)),
    }
}

/// The answer where nothing is verified: whoever the token says it is.
pub fn believed(shot: &Shot, seen: &Seen<'_>) -> Result<()> {
    expect(seen, 200, Some(&shot.user))
}

/// The answer where nothing is touched: what the client claims reaches the backend.
pub fn untouched(_: &Shot, seen: &Seen<'_>) -> Result<()> {
    expect(seen, 200, Some(INTRUDER))
}

/// Demands a status and, where there is one, a body.
pub fn expect(seen: &Seen<'_>, status: u16, body: Option<&str>) -> Result<()> {
    let right = seen.status == status && body.is_none_or(|body| body == seen.body);
    if right {
        return Ok(());
    }
    let wanted = body.unwrap_or("any body");
    bail!("{} {}; wanted {status} {wanted}", seen.status, seen.body)
}

/// Two connections for each thing workerd can have on its way keep it busy.
const N_CONNECTIONS: u64 = 16;
/// One token in so many is forged: enough to be seen, too few to count.
const FORGED_EVERY: usize = 100;
/// Within the last 86 characters, which are the signature.
const SPOILED_FROM_END: usize = 40;
/// A request and its answer are far smaller.
const BUFFER_BYTES: usize = 16 * 1024;
/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// What each request says in a header that no client may set.
const INTRUDER: &str = "intruder";
/// What the backend says when it was told of nobody.
const NOBODY: &str = "nobody";

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, body: &str) -> Seen<'_> {
        Seen {
            sent: Instant::now(),
            status,
            body,
        }
    }

    #[test]
    fn forged_token_differs_in_its_signature_only() {
        let token = format!("head.payload.{}", "A".repeat(86));
        let other = spoiled(&token);
        assert_eq!(other.len(), token.len());
        assert!(other.starts_with("head.payload."));
        assert_ne!(other, token);
        assert_ne!(spoiled(&other), other);
    }

    #[test]
    fn wrong_answer_is_told_apart_from_the_right_one() {
        let honest = shot(
            "ada session head.payload.signature-of-some-length-and-then-some-more",
            1,
            false,
        );
        let honest = honest.expect("three words");
        assert!(verified(&honest, &seen(200, "ada")).is_ok());
        for wrong in [seen(200, INTRUDER), seen(200, NOBODY), seen(401, "ada")] {
            assert!(verified(&honest, &wrong).is_err());
        }
        let forged = Shot {
            forged: true,
            ..honest
        };
        assert!(verified(&forged, &seen(401, "{}")).is_ok());
        assert!(verified(&forged, &seen(200, "ada")).is_err());
    }

    #[test]
    fn backend_repeats_the_identity_and_the_client_reads_it() {
        let port = start_backend().expect("a free port");
        let shot = shot(
            "ada session a-token-that-is-longer-than-forty-characters",
            1,
            false,
        );
        once(port, &shot.expect("three words"), &untouched).expect("an answer");
    }
}
