//! An app's receiver inside the test, with good and bad manners.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64ct::{Base64, Encoding};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Manner {
    /// With a status and no body.
    Status(u16),
    /// With 429 and the moment to come back.
    Busy(&'static str),
    /// With 302 to another place.
    Redirect(String),
    /// Never.
    Hang,
    /// With 200 and a gigabyte.
    Flood,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Signatures made with this secret, computed from the definition of HMAC (RFC 2104) and not
    /// by the code under test.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let encoded = secret.strip_prefix("whsec_").expect("the prefix");
        let key = Base64::decode_vec(encoded).expect("base64");
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let message = format!("{id}.{at}.{}", self.body);
        let padded = |byte: u8| -> Vec<u8> {
            let key = key.iter().chain(std::iter::repeat(&0)).take(64);
            key.map(|k| k ^ byte).collect()
        };
        let inner = Sha256::digest([padded(0x36), message.into_bytes()].concat());
        let code = Sha256::digest([padded(0x5c), inner.to_vec()].concat());
        let expected = format!("v1,{}", Base64::encode_string(&code));
        let mut signatures = self.header("webhook-signature").split(' ');
        signatures.any(|signature| signature == expected)
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    manners: Mutex<VecDeque<Manner>>,
    always: Mutex<Option<Manner>>,
    n_connections: AtomicUsize,
    n_written: AtomicUsize,
}

/// Listens on this machine.
pub struct Receiver {
    /// Where.
    pub url: String,
    pub port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    /// One that answers 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            url: format!("http://127.0.0.1:{port}/hooks"),
            port,
            shared,
        }
    }

    /// Answers the next requests so.
    pub fn next(&self, manners: impl IntoIterator<Item = Manner>) {
        self.shared
            .manners
            .lock()
            .expect("no panic")
            .extend(manners);
    }

    /// Answers so until told otherwise.
    pub fn always(&self, manner: Manner) {
        *self.shared.always.lock().expect("no panic") = Some(manner);
    }

    /// What has arrived.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panic").clone()
    }

    /// The types of what has arrived.
    pub fn types(&self) -> Vec<String> {
        let received = self.received();
        let types = received.iter().map(|one| one.json()["type"].clone());
        types
            .map(|kind| kind.as_str().expect("a type").to_owned())
            .collect()
    }

    pub fn n_connections(&self) -> usize {
        self.shared.n_connections.load(Ordering::SeqCst)
    }

    /// How much of its flood was taken.
    pub fn n_written(&self) -> usize {
        self.shared.n_written.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.n_connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        // A caller that goes away in the middle is what some tests are about.
        tokio::spawn(async move { drop(answer(stream, &shared).await) });
    }
}

async fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let received = read(&mut stream).await?;
    shared.received.lock().expect("no panic").push(received);
    let next = shared.manners.lock().expect("no panic").pop_front();
    let always = shared.always.lock().expect("no panic").clone();
    match next.or(always).unwrap_or(Manner::Status(204)) {
        Manner::Status(status) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Manner::Busy(until) => {
            let head =
                format!("HTTP/1.1 429 x\r\nretry-after: {until}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Manner::Redirect(to) => {
            let head = format!("HTTP/1.1 302 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Manner::Hang => std::future::pending().await,
        Manner::Flood => {
            let head = "HTTP/1.1 200 x\r\ncontent-length: 1073741824\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let chunk = vec![b'x'; 65_536];
            for _ in 0..16_384 {
                stream.write_all(&chunk).await?;
                shared.n_written.fetch_add(65_536, Ordering::SeqCst);
            }
            Ok(())
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Received> {
    let mut headers = Vec::new();
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Received {
        headers,
        body: String::from_utf8(body).expect("UTF-8"),
    })
}
