//! All operations at once on a few accounts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::json;

use super::Ledger;
use super::gifts::{GIFTS, REDEEM, WEEK};
use super::ledger::{BALANCE, HOLDS, TRANSACTIONS, buy, spend_once};
use crate::support::{Actor, Answer, proving};

const N_ACCOUNTS: usize = 50;
/// Of the issuer's pool.
const N_CONNECTIONS: u64 = 20;

/// What the workers know of each other's doings.
struct Scene<'a> {
    users: Vec<Actor<'a>>,
    /// Holds that were placed: whose, and which.
    holds: RefCell<Vec<(usize, String)>>,
    /// Gifts that were made: whose, which, and the code.
    gifts: RefCell<Vec<(usize, String, String)>>,
    /// How often each operation was answered how.
    answers: RefCell<BTreeMap<(&'static str, u16), u32>>,
    n_keys: Cell<u32>,
    /// More workers than connections: not all can be served in time, and some are told when to come
    /// back.
    is_crowded: bool,
}

struct Dice(ChaCha20Rng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u32()).expect("fits") % bound.max(1)
    }

    fn amount(&mut self, most: u32) -> i64 {
        i64::from(1 + self.0.next_u32() % most)
    }
}

impl Scene<'_> {
    fn note(&self, operation: &'static str, answer: &Answer) {
        let fine = [200, 201, 402, 404, 409, 422, 429];
        let is_turned_away =
            self.is_crowded && answer.status == 503 && !answer.header("retry-after").is_empty();
        assert!(
            fine.contains(&answer.status) || is_turned_away,
            "{operation}: {} {}",
            answer.status,
            answer.text
        );
        let mut answers = self.answers.borrow_mut();
        *answers.entry((operation, answer.status)).or_default() += 1;
    }

    /// A new key, or now and then one that was used before.
    fn key(&self, dice: &mut Dice) -> String {
        let next = self.n_keys.get();
        if dice.below(5) == 0 {
            return format!("k{}", dice.below(next as usize));
        }
        self.n_keys.set(next + 1);
        format!("k{next}")
    }

    async fn step(&self, dice: &mut Dice) {
        let who = dice.below(self.users.len());
        let user = &self.users[who];
        match dice.below(12) {
            0..4 => {
                let key = self.key(dice);
                self.note("use", &spend_once(user, dice.amount(20), &key).await);
            }
            4 | 5 => self.place(who, dice).await,
            6 | 7 => self.end_hold(dice).await,
            8 => self.give(who, dice).await,
            9 => self.take_gift(who, dice).await,
            10 => self.note("balance", &user.get(BALANCE).await),
            _ => self.note("history", &user.get(TRANSACTIONS).await),
        }
    }

    async fn place(&self, who: usize, dice: &mut Dice) {
        let body = json!({"amount": 1 + dice.below(30), "appId": "test", "idempotencyKey": self.key(dice)});
        let answer = self.users[who].post(HOLDS, body).await;
        self.note("hold", &answer);
        if answer.status == 201 {
            let id = answer.body["hold"]["id"].as_str().expect("an id");
            self.holds.borrow_mut().push((who, id.to_owned()));
        }
    }

    async fn end_hold(&self, dice: &mut Dice) {
        let n_holds = self.holds.borrow().len();
        let found = self.holds.borrow().get(dice.below(n_holds)).cloned();
        let Some((who, id)) = found else { return };
        let (operation, body) = match dice.below(3) {
            0 => ("release", json!({"idempotencyKey": self.key(dice)})),
            1 => ("capture", json!({"idempotencyKey": self.key(dice)})),
            _ => (
                "capture",
                json!({"idempotencyKey": self.key(dice), "amount": 1}),
            ),
        };
        let path = format!("{HOLDS}/{id}/{operation}");
        self.note(operation, &self.users[who].post(&path, body).await);
    }

    async fn give(&self, who: usize, dice: &mut Dice) {
        let answer = self.users[who]
            .post(GIFTS, json!({"amount": 1 + dice.below(10)}))
            .await;
        self.note("give", &answer);
        if answer.status == 201 {
            let id = answer.body["gift"]["id"]
                .as_str()
                .expect("an id")
                .to_owned();
            let code = answer.string("code");
            self.gifts.borrow_mut().push((who, id, code));
        }
    }

    async fn take_gift(&self, who: usize, dice: &mut Dice) {
        let n_gifts = self.gifts.borrow().len();
        let found = self.gifts.borrow().get(dice.below(n_gifts)).cloned();
        let Some((giver, id, code)) = found else {
            return;
        };
        if dice.below(4) == 0 {
            let path = format!("{GIFTS}/{id}/cancel");
            self.note("cancel", &self.users[giver].post_empty(&path).await);
        } else {
            let body = json!({ "code": code });
            self.note("redeem", &self.users[who].post(REDEEM, body).await);
        }
    }
}

#[tokio::test]
async fn all_operations_at_once_end_in_a_whole_ledger_without_a_deadlock() {
    let n_workers = proving("WORKERS").unwrap_or(16);
    let lasting = proving("SECS").map(Duration::from_secs);
    let seed = proving("SEED").unwrap_or(1);
    let ledger =
        Ledger::start_with(&[("CREDITS_DAILY_FREE", "0"), ("RATE_LIMIT_SCALE", "1000")]).await;
    let mut users = Vec::new();
    for i in 0..N_ACCOUNTS {
        let user = ledger.user(&format!("user{i}")).await;
        buy(&ledger, &user, &format!("p{i}"), 5000, None).await;
        users.push(user);
    }
    ledger.advance(WEEK).await;
    // One after the other: fifty at once are more than passwords are hashed for in time.
    let mut signed_in = Vec::new();
    for user in &users {
        signed_in.push(user.login(&user.email, json!({})).await);
    }
    let scene = Scene {
        users: signed_in,
        holds: RefCell::default(),
        gifts: RefCell::default(),
        answers: RefCell::default(),
        n_keys: Cell::new(0),
        is_crowded: n_workers > N_CONNECTIONS,
    };
    let began = Instant::now();
    let go_on = |n_done: u32| lasting.map_or(n_done < 40, |lasting| began.elapsed() < lasting);
    let workers = (0..n_workers).map(|worker| {
        let scene = &scene;
        async move {
            let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed * 1000 + worker));
            let mut n_done = 0;
            while go_on(n_done) {
                scene.step(&mut dice).await;
                n_done += 1;
            }
        }
    });
    join_all(workers).await;
    let answers = scene.answers.take();
    for operation in [
        "use", "hold", "capture", "release", "give", "redeem", "cancel",
    ] {
        let n_done: u32 = [200, 201]
            .iter()
            .filter_map(|status| answers.get(&(operation, *status)))
            .sum();
        assert!(n_done > 0, "{operation} never succeeded: {answers:?}");
    }
    drop(scene);
    let n_deadlocks: i64 = ledger
        .db
        .value("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(n_deadlocks, 0);
    ledger.finish().await;
    let n_operations: u32 = answers.values().sum();
    let turned_away = answers.iter().filter(|((_, status), _)| *status == 503);
    let n_turned_away: u32 = turned_away.map(|(_, n)| n).sum();
    println!(
        "figure: seed {seed}, {n_workers} workers, {n_operations} operations on {N_ACCOUNTS} accounts: \
         0 deadlocks, 0 errors of the server, 0 incidents; {n_turned_away} told to come back"
    );
}
