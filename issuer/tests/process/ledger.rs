//! Charges while PostgreSQL or the issuer is killed: nothing acknowledged is lost, and a client
//! that asks again with its key is charged once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Issuer, data_dir, postmaster, run, stderr};

const N_ROUNDS: u32 = 10;
const N_CLIENTS: usize = 4;
/// What everybody begins with: more than can be spent in the time.
const BONUS: i64 = 1_000_000;

/// A person who spends one credit at a time, each with a key of its own, and remembers the answers.
struct Client {
    name: String,
    token: String,
    /// Each key with the transaction that was acknowledged; `None` when no answer came.
    keys: BTreeMap<String, Option<Value>>,
}

impl Client {
    async fn new(issuer: &Issuer, name: String) -> Self {
        Self {
            token: issuer.user(&name).await,
            name,
            keys: BTreeMap::new(),
        }
    }

    async fn charge(&self, issuer: &Issuer, key: &str) -> Option<Value> {
        let body =
            json!({"amount": 1, "appId": "test", "description": "work", "idempotencyKey": key});
        let (status, answer) = issuer.post("/credits/use", &self.token, &body).await;
        match status {
            200 => Some(answer["transaction"].clone()),
            0 | 503 => None,
            _ => panic!("{status} {answer}"),
        }
    }

    /// Spends until told to stop, never with one key twice.
    async fn spend(&mut self, issuer: &Issuer, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let key = format!("k{}", self.keys.len());
            let answer = self.charge(issuer, &key).await;
            self.keys.insert(key, answer);
        }
    }

    /// Asks again for everything: what was acknowledged is the same transaction still, and what
    /// was not is charged now, unless it was already.
    async fn ask_again(&mut self, issuer: &Issuer) {
        self.token = issuer.login(&self.name).await;
        for key in self.keys.keys().cloned().collect::<Vec<_>>() {
            let found = self.charge(issuer, &key).await.expect("the issuer is well");
            if let Some(acknowledged) = &self.keys[&key] {
                assert_eq!(&found, acknowledged, "{} {key}", self.name);
            }
            self.keys.insert(key, Some(found));
        }
    }

    async fn balance(&self, issuer: &Issuer) -> i64 {
        let answer = issuer
            .http
            .get(format!("{}/api/v1/credits/balance", issuer.url))
            .bearer_auth(&self.token)
            .send()
            .await
            .expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        body["balance"].as_i64().expect("a whole number")
    }
}

/// Everybody asks again, and everybody was charged once for each key.
async fn settle(issuer: &Issuer, clients: &mut [Client]) -> usize {
    join_all(clients.iter_mut().map(|client| client.ask_again(issuer))).await;
    for client in &*clients {
        let n_charged = i64::try_from(client.keys.len()).expect("few");
        assert_eq!(
            client.balance(issuer).await,
            BONUS - n_charged,
            "{}",
            client.name
        );
    }
    clients.iter().map(|client| client.keys.len()).sum()
}

fn variables(dir: &str) -> [(&str, &str); 3] {
    [
        ("TOLLGATE_DATA_DIR", dir),
        ("CREDITS_SIGNUP_BONUS", "1000000"),
        ("CREDITS_DAILY_FREE", "0"),
    ]
}

async fn clients(issuer: &Issuer) -> Vec<Client> {
    let names = (0..N_CLIENTS).map(|i| format!("client{i}"));
    join_all(names.map(|name| Client::new(issuer, name))).await
}

/// The ledger's own proof, by the program that operators run.
fn reconcile(variables: &[(&str, &str)]) {
    let output = run(&["credits", "reconcile", "--json"], variables);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_loses_no_acknowledged_charge_and_charges_nothing_twice() {
    let dir = data_dir("ledger_server");
    let variables = variables(dir.to_str().expect("UTF-8"));
    let issuer = Issuer::start(&["--dev"], &variables).await;
    let mut clients = clients(&issuer).await;
    let mut n_charges = 0;
    for round in 0..N_ROUNDS {
        let stop = AtomicBool::new(false);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(150 + u64::from(round) * 13)).await;
            let killed = postmaster(&dir);
            kill_process(killed, Signal::KILL).expect("the server is ours");
            // Orphaned connections go on answering for a moment: only a new server counts.
            while postmaster(&dir) == killed {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(issuer.becomes_ready(Duration::from_secs(20)).await);
            stop.store(true, Ordering::Relaxed);
        };
        let spending = clients
            .iter_mut()
            .map(|client| client.spend(&issuer, &stop));
        tokio::join!(join_all(spending), killing);
        n_charges = settle(&issuer, &mut clients).await;
    }
    assert!(n_charges > 100, "hardly anything was charged: {n_charges}");
    reconcile(&variables);
    println!("figure: {N_ROUNDS} kills of PostgreSQL, {n_charges} charges, 0 lost, 0 twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_issuer_loses_no_acknowledged_charge_and_charges_nothing_twice() {
    let dir = data_dir("ledger_issuer");
    let variables = variables(dir.to_str().expect("UTF-8"));
    let mut issuer = Issuer::start(&["--dev"], &variables).await;
    let mut clients = clients(&issuer).await;
    let mut n_charges = 0;
    for round in 0..N_ROUNDS {
        let stop = AtomicBool::new(false);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(150 + u64::from(round) * 7)).await;
            issuer.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        };
        let spending = clients
            .iter_mut()
            .map(|client| client.spend(&issuer, &stop));
        tokio::join!(join_all(spending), killing);
        issuer.wait();
        issuer = Issuer::start(&["--dev"], &variables).await;
        n_charges = settle(&issuer, &mut clients).await;
    }
    assert!(n_charges > 100, "hardly anything was charged: {n_charges}");
    reconcile(&variables);
    println!("figure: {N_ROUNDS} kills of the issuer, {n_charges} charges, 0 lost, 0 twice");
}
