//! A mail server inside the test, and an issuer that sends to it.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64ct::{Base64, Encoding};
use issuer::mail;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::actor::Actor;
use super::answer::Answer;
use super::app::{PASSWORD, TestApp};

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The envelope's recipient.
    pub to: String,
    /// The headers, as they were sent.
    pub headers: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

impl Mail {
    /// What the link in it carries.
    #[track_caller]
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("?token=").expect("a link");
        rest.split_whitespace().next().expect("its end").to_owned()
    }

    /// The page that the link leads to.
    #[track_caller]
    pub fn page(&self) -> String {
        let (before, _) = self.text.split_once("?token=").expect("a link");
        let (_, path) = before.rsplit_once(":3001").expect("our address");
        path.to_owned()
    }

    /// The six digits in it.
    #[track_caller]
    pub fn code(&self) -> String {
        let lines = self.text.lines().filter_map(|line| line.rsplit_once(": "));
        lines
            .map(|(_, last)| last.to_owned())
            .find(|last| last.len() == 6 && last.bytes().all(|b| b.is_ascii_digit()))
            .expect("a code")
    }

    /// A header; empty when absent.
    pub fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let mut lines = self.headers.lines();
        let found = lines.find_map(|line| line.strip_prefix(&prefix));
        found.unwrap_or_default().to_owned()
    }
}

/// What the server shares with the test.
#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Mail>>,
    replies: Mutex<VecDeque<&'static str>>,
    down: AtomicBool,
}

/// An issuer with a mail server of its own; verification is on.
pub struct MailApp {
    app: TestApp,
    shared: Arc<Shared>,
}

impl Deref for MailApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl MailApp {
    /// An issuer that proves addresses.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With variables of its own.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared::default());
        tokio::spawn(serve(listener, Arc::clone(&shared)));
        let url = format!("smtp://{address}");
        let mut all = vec![
            ("SMTP_URL", url.as_str()),
            ("MAIL_FROM", "Example <no-reply@example.com>"),
        ];
        all.extend(variables);
        Self {
            app: TestApp::start_with(&all).await,
            shared,
        }
    }

    /// Another issuer on the same database, sending to the same server.
    pub async fn second(&self) -> TestApp {
        let smtp = self.app.app.config.mail.smtp.as_ref().expect("set");
        let from = ("MAIL_FROM", "Example <no-reply@example.com>");
        self.app
            .second(&[("SMTP_URL", smtp.url.expose()), from])
            .await
    }

    /// Sends what is due, as the job would, and takes what arrived.
    pub async fn deliver(&self) -> Vec<Mail> {
        mail::send_due(&self.app.app)
            .await
            .expect("the outbox answers");
        self.arrived()
    }

    /// What arrived since the last time.
    pub fn arrived(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.shared.received.lock().expect("lock"))
    }

    /// Delivers and demands exactly one mail.
    #[track_caller]
    pub fn one(&self) -> impl Future<Output = Mail> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let mails = self.deliver().await;
            assert_eq!(mails.len(), 1, "{caller}: {mails:?}");
            mails.into_iter().next().expect("one")
        }
    }

    /// How the server answers the next mails; afterwards it accepts them.
    pub fn reply(&self, replies: &[&'static str]) {
        self.shared.replies.lock().expect("lock").extend(replies);
    }

    /// Takes the server away or brings it back.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// Registers without proving the address.
    pub async fn register(&self, name: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        self.anon().post("/api/v1/auth/register", body).await
    }

    /// Registers, proves the address and signs in.
    pub async fn user(&self, name: &str) -> Actor<'_> {
        self.register(name).await.expect(201);
        let token = self.one().await.token();
        self.verify(&token).await.expect(200);
        self.anon()
            .login(&format!("{name}@example.com"), json!({}))
            .await
    }

    /// Shows a verification link.
    pub async fn verify(&self, token: &str) -> Answer {
        self.anon()
            .post("/api/v1/auth/verify-email", json!({ "token": token }))
            .await
    }

    /// Asks for a reset link and takes it from the mail.
    pub async fn reset_link(&self, name: &str) -> String {
        let body = json!({"email": format!("{name}@example.com")});
        let path = "/api/v1/auth/forgot-password";
        self.anon().post(path, body).await.expect(202);
        self.one().await.token()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, Arc::clone(&shared)));
    }
}

/// RFC 5321, as much as a well-behaved client needs.
async fn converse(stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 sink\r\n").await?;
    let (mut to, mut data, mut in_data) = (String::new(), String::new(), false);
    while let Some(line) = lines.next_line().await? {
        if shared.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        if in_data {
            if line != "." {
                data.push_str(line.strip_prefix('.').unwrap_or(&line));
                data.push_str("\r\n");
                continue;
            }
            in_data = false;
            let reply = shared.replies.lock().expect("lock").pop_front();
            let reply = reply.unwrap_or("250 accepted");
            if reply.starts_with("250") {
                let mail = parse(&to, &data);
                shared.received.lock().expect("lock").push(mail);
            }
            writing.write_all(format!("{reply}\r\n").as_bytes()).await?;
            continue;
        }
        let reply = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-sink\r\n250 8BITMIME",
            "DATA" => {
                (in_data, data) = (true, String::new());
                "354 go on"
            }
            "QUIT" => "221 bye",
            "RCPT" => {
                to = between(&line, "<", ">").to_owned();
                "250 fine"
            }
            _ => "250 fine",
        };
        writing.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn parse(to: &str, data: &str) -> Mail {
    let (headers, body) = data.split_once("\r\n\r\n").expect("a body");
    let boundary = between(headers, "boundary=\"", "\"");
    let delimiter = format!("--{boundary}");
    let mut parts = body.split(delimiter.as_str()).skip(1).map(|part| {
        let (headers, body) = part.split_once("\r\n\r\n").unwrap_or((part, ""));
        (headers.to_ascii_lowercase(), body.trim_end().to_owned())
    });
    let mut part = |kind: &str| {
        let (headers, body) = parts
            .find(|(headers, _)| headers.contains(kind))
            .expect(kind);
        decode(&headers, &body)
    };
    let (text, html) = (part("text/plain"), part("text/html"));
    Mail {
        to: to.into(),
        headers: headers.replace("\r\n ", " "),
        text,
        html,
    }
}

fn decode(headers: &str, body: &str) -> String {
    if headers.contains("base64") {
        let joined: String = body.split_whitespace().collect();
        return String::from_utf8(Base64::decode_vec(&joined).expect("base64")).expect("UTF-8");
    }
    if !headers.contains("quoted-printable") {
        return body.replace("\r\n", "\n");
    }
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_str();
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend(before.as_bytes());
        let (hex, after) = after.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
        rest = after;
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8(bytes)
        .expect("UTF-8")
        .replace("\r\n", "\n")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let after = text.split_once(start).map_or("", |(_, after)| after);
    after.split_once(end).map_or("", |(between, _)| between)
}
