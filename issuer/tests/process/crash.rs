use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{Issuer, PASSWORD, data_dir, postmaster};

/// Registers people one after the other until told to stop; the numbers of those acknowledged.
async fn register_until(issuer: &Issuer, worker: usize, stop: &AtomicBool) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("w{worker}n{i}");
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let (status, answer) = issuer.post("/auth/register", "", &body).await;
        match status {
            201 => drop(acknowledged.insert(name)),
            0 | 503 => {}
            _ => panic!("{status} {answer}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_acknowledged_and_the_issuer_recovers_by_itself() {
    let dir = data_dir("killed_server");
    let issuer = Issuer::start(
        &["--dev"],
        &[("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8"))],
    )
    .await;
    let token = issuer.user("ada").await;
    let stop = AtomicBool::new(false);
    let killing = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let killed = postmaster(&dir);
            kill_process(killed, Signal::KILL).expect("the server is ours");
            // Keys, feed and verification do not notice.
            assert_eq!(issuer.get("/.well-known/jwks.json").await.0, 200);
            assert_eq!(
                issuer
                    .post("/auth/validate", "", &json!({ "token": token }))
                    .await
                    .1["valid"],
                true
            );
            // Orphaned connections go on answering for a moment: only a new server counts.
            while postmaster(&dir) == killed {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(
                issuer.becomes_ready(Duration::from_secs(20)).await,
                "it did not recover"
            );
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (a, b, ()) = tokio::join!(
        register_until(&issuer, 1, &stop),
        register_until(&issuer, 2, &stop),
        killing
    );
    assert!(a.len() + b.len() > 3, "hardly anything was registered");
    for name in a.iter().chain(&b) {
        issuer.login(name).await;
    }
}

#[tokio::test]
async fn an_unreachable_database_is_answered_503_within_two_seconds() {
    let dir = data_dir("stopped_server");
    let issuer = Issuer::start(
        &["--dev"],
        &[("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8"))],
    )
    .await;
    issuer.user("ada").await;
    kill_process(postmaster(&dir), Signal::STOP).expect("the server is ours");
    kill_children(postmaster(&dir), Signal::STOP);
    let began = Instant::now();
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let answer = issuer
        .http
        .post(format!("{}/api/v1/auth/login", issuer.url))
        .json(&body)
        .send()
        .await
        .expect("an answer");
    let took = began.elapsed();
    kill_children(postmaster(&dir), Signal::CONT);
    kill_process(postmaster(&dir), Signal::CONT).expect("the server is ours");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(
        issuer.becomes_ready(Duration::from_secs(5)).await,
        "it did not recover"
    );
}

fn kill_children(parent: rustix::process::Pid, signal: Signal) {
    let children = format!("/proc/{0}/task/{0}/children", parent.as_raw_nonzero());
    for child in std::fs::read_to_string(children)
        .unwrap_or_default()
        .split_whitespace()
    {
        if let Some(pid) = child.parse().ok().and_then(rustix::process::Pid::from_raw) {
            // A connection may end by itself meanwhile.
            let _ended = kill_process(pid, signal);
        }
    }
}

#[tokio::test]
async fn an_issuer_killed_at_any_moment_starts_again_with_all_that_was_acknowledged() {
    let dir = data_dir("killed_issuer");
    let data = [("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8"))];
    let mut names = Vec::new();
    for round in 0..2 {
        let mut issuer = Issuer::start(&["--dev"], &data).await;
        for i in 0..5 {
            let name = format!("r{round}n{i}");
            issuer.user(&name).await;
            names.push(name);
        }
        issuer.signal(Signal::KILL);
        issuer.wait();
    }
    let issuer = Issuer::start(&["--dev"], &data).await;
    for name in &names {
        issuer.login(name).await;
    }
}
