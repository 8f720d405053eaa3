//! What clients that say nothing, or too little, or too slowly, can do to others.

use std::net::SocketAddr;
use std::time::Duration;

use issuer::http::{self, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::TestApp;

/// The issuer on a port of its own.
struct Listening {
    _app: TestApp,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    async fn start(limits: Limits) -> Self {
        let app = TestApp::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let shell = http::service(&app.app);
        let served = tokio::spawn(http::serve_on(listener, shell, limits, async {
            drop(stopped.await);
        }));
        Self {
            _app: app,
            address,
            stop,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// A connection on which something was sent.
    async fn having_sent(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }
}

/// Patient enough for a test that is slowed down, unless it says otherwise.
const LIMITS: Limits = Limits {
    connections: 64,
    first_request: Duration::from_secs(20),
    next_request: Duration::from_secs(20),
    next_request_in_a_crowd: Duration::from_secs(20),
};
const SOON: Duration = Duration::from_millis(300);
const REQUEST: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The status of the next answer; its body is taken in.
async fn status(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let n_read = stream.read(&mut answer).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer[..n_read]).into_owned();
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// How long it took the issuer to close the connection; none if it has not after ten seconds.
async fn closed_after(stream: &mut TcpStream) -> Option<Duration> {
    let began = Instant::now();
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    ended.is_ok().then(|| began.elapsed())
}

#[tokio::test]
async fn whoever_sends_nothing_or_never_ends_the_head_is_hung_up_on() {
    let issuer = Listening::start(Limits {
        first_request: SOON,
        ..LIMITS
    })
    .await;
    for sent in [
        "",
        "GET",
        "GET /health HTTP/1.1\r\nhost: localhost\r\nx-a: ",
    ] {
        let mut stream = issuer.having_sent(sent).await;
        assert!(closed_after(&mut stream).await.is_some(), "{sent:?}");
    }
    // A byte now and then is no progress.
    let mut slow = issuer.having_sent("GET /health HTTP/1.1\r\nx-a: ").await;
    let began = Instant::now();
    while slow.write_all(b"a").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_refused_before_it_fills_the_memory() {
    let issuer = Listening::start(LIMITS).await;
    let header = format!("x-a: {}\r\n", "a".repeat(1000));
    let fits = REQUEST.replace("\r\n\r\n", &format!("\r\n{}\r\n", header.repeat(20)));
    let mut stream = issuer.having_sent(&fits).await;
    assert_eq!(status(&mut stream).await, "200");
    let head = format!("GET /health HTTP/1.1\r\n{}", header.repeat(40));
    let mut stream = issuer.connect().await;
    // Whoever is hung up on in the middle may not be able to send the rest, or to read the answer.
    drop(stream.write_all(head.as_bytes()).await);
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer).await);
    let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431 ");
    assert!(is_refused, "{answer}");
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_and_not_for_ever() {
    let issuer = Listening::start(Limits {
        first_request: SOON,
        next_request: 4 * SOON,
        ..LIMITS
    })
    .await;
    let mut stream = issuer.having_sent(REQUEST).await;
    assert_eq!(status(&mut stream).await, "200");
    // Longer than a first request may take.
    sleep(2 * SOON).await;
    stream.write_all(REQUEST.as_bytes()).await.expect("sent");
    assert_eq!(status(&mut stream).await, "200");
    assert!(closed_after(&mut stream).await.is_some());
}

#[tokio::test]
async fn in_a_crowd_idle_connections_make_room() {
    let issuer = Listening::start(Limits {
        connections: 4,
        first_request: SOON,
        next_request_in_a_crowd: SOON,
        ..LIMITS
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = issuer.having_sent(REQUEST).await;
        assert_eq!(status(&mut stream).await, "200");
        idle.push(stream);
    }
    let mut next = issuer.having_sent(REQUEST).await;
    let answered = timeout(Duration::from_secs(10), status(&mut next)).await;
    assert_eq!(answered.as_deref(), Ok("200"));
}

#[tokio::test]
async fn requests_in_flight_are_finished_and_idle_connections_are_closed_when_it_stops() {
    let issuer = Listening::start(LIMITS).await;
    let mut idle = issuer.having_sent(REQUEST).await;
    assert_eq!(status(&mut idle).await, "200");
    let half = "POST /api/v1/auth/validate HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 13\r\n\r\n{\"token\"";
    let mut busy = issuer.having_sent(half).await;
    // Until the issuer has read that much.
    sleep(SOON).await;
    issuer.stop.send(()).expect("it runs");
    assert!(closed_after(&mut idle).await.is_some());
    busy.write_all(b":\"a\"}").await.expect("sent");
    assert_eq!(status(&mut busy).await, "200");
    assert!(closed_after(&mut busy).await.is_some());
    let served = timeout(Duration::from_secs(10), issuer.served).await;
    served
        .expect("in time")
        .expect("no panic")
        .expect("no error");
    assert!(TcpStream::connect(issuer.address).await.is_err());
}
