//! A crowd of clients that each ask again as soon as they are answered, all on one thread.
//!
//! The load runs on the cores that are measured. A thread for each client would cost a change of
//! threads for each answer, which pgbench, the other side of several figures, does not pay either.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

/// One client: what it asks, and what it makes of the answer.
pub trait Client {
    /// Appends its next request, whole.
    fn ask(&mut self, request: &mut Vec<u8>);

    /// Checks the answer and keeps what the next request needs.
    fn hear(&mut self, status: u16, body: &str) -> Result<()>;
}

/// A client that asks for the same thing over and over.
pub struct Same {
    /// The whole request.
    pub request: Vec<u8>,
    /// What must stand in each answer.
    pub expected: &'static str,
}

impl Same {
    /// So many clients that read one address.
    pub fn reading(url: &str, path: &str, expected: &'static str, n_clients: usize) -> Vec<Self> {
        let host = url.trim_start_matches("http://");
        let client = || Self {
            request: format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes(),
            expected,
        };
        (0..n_clients).map(|_| client()).collect()
    }
}

impl Client for Same {
    fn ask(&mut self, request: &mut Vec<u8>) {
        request.extend_from_slice(&self.request);
    }

    fn hear(&mut self, status: u16, body: &str) -> Result<()> {
        ensure!(
            status == 200 && body.contains(self.expected),
            "not what was asked for"
        );
        Ok(())
    }
}

/// What a crowd was answered.
pub struct Heard {
    /// How long each answer took, the shortest first.
    times: Vec<Duration>,
    lasting: Duration,
}

impl Heard {
    /// Answers.
    pub fn n_answers(&self) -> u64 {
        self.times.len() as u64
    }

    /// Answers in an hour.
    pub fn rate(&self) -> u64 {
        self.n_answers() * 3_600_000 / u64::try_from(self.lasting.as_millis()).unwrap_or(u64::MAX)
    }

    /// Microseconds that one answer in a hundred exceeds.
    pub fn p99_micros(&self) -> u64 {
        let index = (self.times.len() * 99).div_ceil(100).saturating_sub(1);
        let micros = self.times.get(index).map_or(0, Duration::as_micros);
        u64::try_from(micros).unwrap_or(u64::MAX)
    }
}

/// Lets every client ask over a connection of its own. The first wrong answer ends it.
pub fn drive<C: Client>(url: &str, clients: &mut [C], lasting: Duration) -> Result<Heard> {
    let host = url.strip_prefix("http://").context("an http address")?;
    let mut lines = clients
        .iter_mut()
        .map(|client| Line::open(host, client))
        .collect::<Result<Vec<_>>>()?;
    let watch = watch(&lines)?;
    let mut events = Vec::with_capacity(lines.len());
    let mut times = Vec::new();
    let began = Instant::now();
    let mut n_waiting = lines.len();
    for line in &mut lines {
        line.send()?;
    }
    while n_waiting > 0 {
        epoll::wait(&watch, spare_capacity(&mut events), Some(&PATIENCE))?;
        ensure!(!events.is_empty(), "no answer in {} s", PATIENCE.tv_sec);
        for event in events.drain(..) {
            let line = &mut lines[usize::try_from(event.data.u64())?];
            if let Some(took) = line.receive()? {
                times.push(took);
                match began.elapsed() < lasting {
                    true => line.send()?,
                    false => n_waiting -= 1,
                }
            }
        }
    }
    let lasting = began.elapsed();
    times.sort_unstable();
    Ok(Heard { times, lasting })
}

/// What tells which of them, by number, have something to read.
fn watch<C: Client>(lines: &[Line<'_, C>]) -> Result<OwnedFd> {
    let watch = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, line) in (0..).zip(lines) {
        let data = epoll::EventData::new_u64(number);
        epoll::add(&watch, &line.stream, data, epoll::EventFlags::IN)?;
    }
    Ok(watch)
}

/// A client and its connection.
struct Line<'a, C> {
    client: &'a mut C,
    stream: TcpStream,
    sent: Instant,
    outgoing: Vec<u8>,
    received: Vec<u8>,
    chunk: Box<[u8; CHUNK_BYTES]>,
}

impl<'a, C: Client> Line<'a, C> {
    fn open(host: &str, client: &'a mut C) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            client,
            stream,
            sent: Instant::now(),
            outgoing: Vec::new(),
            received: Vec::new(),
            chunk: Box::new([0; CHUNK_BYTES]),
        })
    }

    fn send(&mut self) -> Result<()> {
        self.outgoing.clear();
        self.received.clear();
        self.client.ask(&mut self.outgoing);
        self.sent = Instant::now();
        Ok(self.stream.write_all(&self.outgoing)?)
    }

    /// Takes in what has come; how long the answer took, once it is whole.
    fn receive(&mut self) -> Result<Option<Duration>> {
        let n_read = self.stream.read(&mut self.chunk[..])?;
        ensure!(n_read > 0, "the connection was closed before the answer");
        self.received.extend_from_slice(&self.chunk[..n_read]);
        let Some(answer) = Answer::read(&self.received)? else {
            return Ok(None);
        };
        let took = self.sent.elapsed();
        let heard = self.client.hear(answer.status, answer.body);
        heard.with_context(|| format!("answered {}: {}", answer.status, answer.body))?;
        Ok(Some(took))
    }
}

/// A whole answer.
#[derive(Debug, PartialEq)]
struct Answer<'a> {
    status: u16,
    body: &'a str,
}

impl<'a> Answer<'a> {
    /// `None` until all of it is there.
    fn read(received: &'a [u8]) -> Result<Option<Self>> {
        let text = std::str::from_utf8(received).context("an answer that is not text")?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return Ok(None);
        };
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let header = |wanted: &str| {
            let pairs = head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
            let mut found = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.trim())
        };
        if let Some(length) = header("content-length") {
            let length: usize = length.parse()?;
            return Ok((body.len() >= length).then_some(Self { status, body }));
        }
        if header("transfer-encoding").is_some() {
            // One chunk, as a small answer comes.
            let Some(chunks) = body.strip_suffix("\r\n0\r\n\r\n") else {
                return Ok(None);
            };
            let (_, body) = chunks.split_once("\r\n").context("no size of a chunk")?;
            return Ok(Some(Self { status, body }));
        }
        bail!("an answer without a length");
    }
}

/// The text of a member of a small JSON object without escapes.
pub fn text_of<'a>(body: &'a str, name: &str) -> Result<&'a str> {
    let quoted = format!("\"{name}\":\"");
    let found = body
        .split_once(&quoted)
        .and_then(|(_, rest)| rest.split_once('"'));
    let (text, _) = found.with_context(|| format!("no {name} in the answer"))?;
    Ok(text)
}

/// Longer than any request may take.
const PATIENCE: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};
/// More than an answer of any of the measured operations.
const CHUNK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u16, String)> {
        let answer = Answer::read(text.as_bytes()).unwrap();
        answer.map(|answer| (answer.status, answer.body.to_owned()))
    }

    #[test]
    fn an_answer_is_whole_when_its_length_has_come() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        assert_eq!(read(whole), Some((200, "{}".to_owned())));
    }

    #[test]
    fn an_answer_in_a_chunk_is_whole_when_the_last_chunk_has_come() {
        let whole = "HTTP/1.1 404 x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        assert_eq!(read(whole), Some((404, "{}".to_owned())));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\n\r\n{}").is_err());
        assert!(Answer::read(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn members_are_found_by_their_whole_name() {
        let body = r#"{"token":"a","refreshToken":"b"}"#;
        assert_eq!(text_of(body, "token").unwrap(), "a");
        assert_eq!(text_of(body, "refreshToken").unwrap(), "b");
        assert!(text_of(body, "accessToken").is_err());
    }
}
