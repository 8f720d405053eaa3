//! Being told to stop, as a load balancer and a client in the middle of a request see it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Issuer, PASSWORD, data_dir};

/// A sign-in of which the issuer has everything but the last byte.
async fn almost_sign_in(issuer: &Issuer, name: &str) -> TcpStream {
    let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD}).to_string();
    let host = issuer.url.strip_prefix("http://").expect("http");
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        body.len(),
        &body[..body.len() - 1]
    );
    let mut stream = TcpStream::connect(host).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

/// Waits until it is not ready any more, which is how one sees that the signal has arrived.
async fn has_noticed(issuer: &Issuer) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while issuer.get("/ready").await.0 == 200 {
        assert!(Instant::now() < deadline, "it does not stop");
    }
}

#[tokio::test]
async fn issuer_that_stops_says_so_first_and_finishes_what_it_has_begun() {
    let dir = data_dir("stop");
    let variables = [
        ("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8")),
        ("SHUTDOWN_NOTICE", "2"),
    ];
    let mut issuer = Issuer::start(&["--dev"], &variables).await;
    issuer.user("ada").await;
    issuer.signal(Signal::TERM);
    let told = Instant::now();
    has_noticed(&issuer).await;
    // Load balancers have not noticed yet and go on sending.
    assert_eq!(issuer.get("/ready").await.0, 503);
    assert_eq!(issuer.get("/health").await.0, 200);
    issuer.login("ada").await;
    let mut begun = almost_sign_in(&issuer, "ada").await;
    while issuer.get("/health").await.0 == 200 {
        assert!(told.elapsed() < Duration::from_secs(20), "it listens on");
    }
    assert!(
        told.elapsed() >= Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
    begun.write_all(b"}").await.expect("the connection is kept");
    let mut answer = String::new();
    begun.read_to_string(&mut answer).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("accessToken"),
        "{answer}"
    );
    assert_eq!(issuer.wait(), Some(0));
    assert!(
        told.elapsed() < Duration::from_secs(30),
        "{:?}",
        told.elapsed()
    );
}

#[tokio::test]
async fn second_signal_ends_it_at_once() {
    let dir = data_dir("stop_twice");
    let variables = [("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8"))];
    let mut issuer = Issuer::start(&["--dev"], &variables).await;
    let _begun = almost_sign_in(&issuer, "ada").await;
    // The issuer has the connection: what came later is answered.
    assert_eq!(issuer.get("/health").await.0, 200);
    issuer.signal(Signal::TERM);
    while issuer.get("/health").await.0 == 200 {}
    let began = Instant::now();
    issuer.signal(Signal::TERM);
    assert_eq!(issuer.wait(), Some(1));
    // Its database has been stopped in good order, which is most of the time.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
