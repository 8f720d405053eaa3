//! A small HTTP server: one thread and one request for each connection, on this machine only.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{Answer, Request, StandIn};

/// Serves until the process ends. `clock` says the Unix second.
pub fn serve(
    listener: TcpListener,
    stripe: Arc<Mutex<StandIn>>,
    clock: impl Fn() -> i64 + Send + Sync + 'static,
) {
    let clock = Arc::new(clock);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (stripe, clock) = (Arc::clone(&stripe), Arc::clone(&clock));
            // A visitor that goes away in between is no concern of the others.
            thread::spawn(move || converse(stream, &stripe, clock()).ok());
        }
    });
}

fn converse(mut stream: TcpStream, stripe: &Mutex<StandIn>, now: i64) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = read(&mut BufReader::new(&stream))?;
    let answer = stripe
        .lock()
        .expect("no holder of this lock panics")
        .answer(&request, now);
    if answer.lost {
        return Ok(());
    }
    stream.write_all(head(&answer).as_bytes())?;
    stream.write_all(answer.body.as_bytes())
}

fn read(stream: &mut impl BufRead) -> io::Result<Request> {
    let mut lines = Vec::new();
    while lines.len() < MAX_LINES {
        let mut line = String::new();
        stream.take(MAX_LINE_BYTES).read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Request::default()
    };
    if let Some(end) = request.path.find('?') {
        request.path.truncate(end);
    }
    for line in lines {
        if let Some((name, value)) = line.split_once(':') {
            request
                .headers
                .insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length: u64 = request.header("content-length").parse().unwrap_or(0);
    let mut body = Vec::new();
    stream
        .take(length.min(MAX_BODY_BYTES))
        .read_to_end(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(request)
}

fn head(answer: &Answer) -> String {
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    let length = answer.body.len().to_string();
    let common = [
        ("content-length", length),
        ("connection", "close".into()),
        ("cache-control", "no-store".into()),
        ("x-content-type-options", "nosniff".into()),
    ];
    for (name, value) in answer.headers.iter().chain(&common) {
        // A header is one line, whatever was typed into a URL.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        writeln!(head, "{name}: {value}\r").expect("a string grows");
    }
    head.push_str("\r\n");
    head
}

const PATIENCE: Duration = Duration::from_secs(10);
const MAX_LINES: usize = 100;
const MAX_LINE_BYTES: u64 = 16_384;
const MAX_BODY_BYTES: u64 = 1_048_576;
