//! Seeded random operations, each compared with a small model of the ledger in plain Rust:
//! answer by answer, and lot by lot at the end.

mod beside;
mod reference;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sqlx::PgConnection;
use time::Duration;

use super::Ledger;
use crate::support::{Actor, proving};
use reference::{Answer, Free, Reference, Request};

/// Operations of one run.
const N_OPERATIONS: u32 = 3400;
const PRINCIPALS: [&str; 2] = ["user:ada", "app:gateway"];

#[tokio::test]
async fn random_operations_answer_as_the_model_does() {
    run(
        1,
        Free {
            daily: 5,
            expires_hours: 0,
        },
    )
    .await;
}

#[tokio::test]
async fn random_operations_with_daily_credits_that_lapse_answer_as_the_model_does() {
    run(
        2,
        Free {
            daily: 7,
            expires_hours: 6,
        },
    )
    .await;
}

#[tokio::test]
async fn random_operations_without_daily_credits_answer_as_the_model_does() {
    run(
        3,
        Free {
            daily: 0,
            expires_hours: 0,
        },
    )
    .await;
}

async fn run(seed: u64, free: Free) {
    // Another seed is another run of each kind.
    let seed = proving("SEED").map_or(seed, |chosen| 10 * chosen + seed);
    let asked = proving("OPERATIONS").and_then(|n| u32::try_from(n).ok());
    let n_operations = asked.unwrap_or(N_OPERATIONS);
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let mut issuer = ledger.db.as_issuer().await;
    let beside = beside::Beside::new(&ledger, &ada).await;
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
    let mut model = Reference::new(now(&ledger), 150, free);
    for step in 0..n_operations {
        match dice.below(100) {
            0..10 => move_clock(&ledger, &mut dice, &model).await,
            10..14 => add_lot(&ledger, &ada, &mut dice, &mut model).await,
            14..17 => freeze_or_lift(&ledger, &ada, step, &mut model).await,
            17..25 => {
                let expected = model.balance(now(&ledger));
                assert_eq!(
                    balance(&mut issuer, &ada, free).await,
                    expected,
                    "seed {seed}, step {step}"
                );
            }
            25..44 => beside.act(step, &mut dice, &mut model).await,
            _ => {
                let request = dice.request(step, &model);
                let expected = model.perform(&request, now(&ledger));
                let way = if dice.below(2) == 0 {
                    Way::Alone
                } else {
                    Way::Batch
                };
                let found = perform(&mut issuer, &ada, &request, way, free).await;
                assert_eq!(found, expected, "seed {seed}, step {step}: {request:?}");
            }
        }
    }
    let found: Vec<_> = ledger
        .lots(&ada)
        .await
        .into_iter()
        .map(|(_, remaining, held)| (remaining, held))
        .collect();
    assert_eq!(found, model.lots(), "seed {seed}");
    println!("figure: seed {seed}: {n_operations} operations, 0 differences from the model");
    drop(beside);
    drop(ada);
    ledger.finish().await;
}

fn now(ledger: &Ledger) -> i64 {
    let since = ledger.app.clock.now() - time::OffsetDateTime::UNIX_EPOCH;
    i64::try_from(since.whole_microseconds()).expect("in range")
}

async fn move_clock(ledger: &Ledger, dice: &mut Dice, model: &Reference) {
    let next = model.next_instant(now(ledger));
    let by = match dice.below(6) {
        // To the instant something falls due, or just before it.
        0 => next,
        1 => next - 1,
        2 => i64::from(dice.below(30)) * 3_600_000_000,
        _ => i64::from(dice.below(90)) * 1_000_000,
    };
    ledger.advance(Duration::microseconds(by.max(0))).await;
}

async fn add_lot(ledger: &Ledger, user: &Actor<'_>, dice: &mut Dice, model: &mut Reference) {
    let kind = ["gift", "refund", "signup"][dice.below(3) as usize];
    let expires =
        (dice.below(2) == 0).then(|| Duration::seconds(i64::from(1 + dice.below(40_000))));
    let amount = i64::from(1 + dice.below(200));
    ledger.add_lot(user, kind, amount, expires).await;
    let at = now(ledger);
    model.add_lot(
        kind,
        amount,
        expires.map(|expires| at + expires.whole_seconds() * 1_000_000),
    );
}

async fn freeze_or_lift(ledger: &Ledger, user: &Actor<'_>, step: u32, model: &mut Reference) {
    match model.frozen.take() {
        Some(id) => ledger.lift(user, &id).await,
        None => {
            let id = format!("dispute:{step}");
            ledger.freeze(user, &id).await;
            model.frozen = Some(id);
        }
    }
}

/// How a charge comes to the ledger.
#[derive(Clone, Copy)]
enum Way {
    Alone,
    Batch,
}

/// Where chance comes from.
struct Dice(ChaCha20Rng);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }

    /// Some number below, mostly one of the last ones; `None` when there is none.
    fn one_of(&mut self, n: usize) -> Option<usize> {
        let back = self.below(8) as usize;
        n.checked_sub(back + 1)
    }

    fn request(&mut self, step: u32, model: &Reference) -> Request {
        let principal = PRINCIPALS[usize::from(self.below(4) == 0)];
        let key = match self.below(5) {
            0 => None,
            // Some key of lately, mostly with another request.
            1 => Some(format!("k{}", step.saturating_sub(self.below(40)))),
            _ => Some(format!("k{step}")),
        };
        let repeated = model
            .request_of(principal, key.as_deref())
            .filter(|_| self.below(2) == 0);
        if let Some(request) = repeated {
            return request.clone();
        }
        let amount = i64::from(1 + self.below(60));
        match self.below(10) {
            0..5 => Request::spend(principal, key, amount),
            5..7 => Request::place(
                principal,
                key,
                amount,
                i64::from(1 + self.below(600)),
                hold_id(step),
            ),
            7..9 => {
                let amount = (self.below(3) > 0).then_some(amount);
                Request::capture(
                    principal,
                    step,
                    self.hold(model),
                    amount,
                    self.below(3) == 0,
                )
            }
            _ => Request::release(principal, step, self.hold(model)),
        }
    }

    /// A hold of lately, or one that never was.
    fn hold(&mut self, model: &Reference) -> String {
        let holds = model.hold_ids();
        let back = self.below(6) as usize;
        holds
            .len()
            .checked_sub(back + 1)
            .map_or_else(|| hold_id(u32::MAX), |i| holds[i].clone())
    }
}

fn hold_id(step: u32) -> String {
    format!("hold{step:018}")
}

async fn balance(
    issuer: &mut PgConnection,
    user: &Actor<'_>,
    free: Free,
) -> (i64, i64, i64, i64, i64) {
    sqlx::query_as("select * from credits.load_balance($1, $2, $3)")
        .bind(&user.id)
        .bind(free.daily)
        .bind(free.expires_hours)
        .fetch_one(issuer)
        .await
        .expect("a balance")
}

async fn perform(
    issuer: &mut PgConnection,
    user: &Actor<'_>,
    request: &Request,
    way: Way,
    free: Free,
) -> Answer {
    let text = match (request, way) {
        (Request::Use { .. }, Way::Alone) => {
            "select outcome, replayed, available, retry_after_secs, null, null, null, amount, balance_after
               from credits.use_credits($1, $6, 'a', 'd', null, $2, $3, $4, $5, $7)"
        }
        (Request::Use { .. }, Way::Batch) => {
            "select outcome, replayed, available, retry_after_secs, null, null, null, amount, balance_after
               from credits.use_credits_batch(array[$1]::text[], array[$6]::bigint[], '{a}', '{d}', '{null}',
                                              array[$2]::text[], array[$3]::text[], array[$4]::bytea[], $5, $7)"
        }
        (Request::Place { .. }, _) => {
            "select outcome, replayed, available, retry_after_secs, amount, captured, status, null, balance_after
               from credits.place_hold($1, $8, $6, 'a', null, $9, $2, $3, $4, $5, $7)"
        }
        (Request::Capture { .. }, _) => {
            "select outcome, replayed, available, retry_after_secs, amount, captured, status, charged, balance_after
               from credits.capture_hold($1, $8, $6, $9, $2, $3, $4, $5, $7)"
        }
        (Request::Release { .. }, _) => {
            "select outcome, replayed, available, retry_after_secs, amount, captured, status, null, balance_after
               from credits.release_hold($1, $6, $2, $3, $4, $5, $7)"
        }
    };
    let query = sqlx::query_as(text)
        .bind(&user.id)
        .bind(request.principal())
        .bind(request.key())
        .bind(issuer::secret::sha256(format!("{request:?}").as_bytes()).to_vec())
        .bind(free.daily);
    let query = match request {
        Request::Use { amount, .. } => query.bind(amount).bind(free.expires_hours),
        Request::Place {
            amount,
            ttl_secs,
            id,
            ..
        } => query
            .bind(amount)
            .bind(free.expires_hours)
            .bind(id)
            .bind(i32::try_from(*ttl_secs).expect("small")),
        Request::Capture {
            amount,
            is_final,
            id,
            ..
        } => query
            .bind(amount)
            .bind(free.expires_hours)
            .bind(id)
            .bind(is_final),
        Request::Release { id, .. } => query.bind(id).bind(free.expires_hours),
    };
    let row: Row = query.fetch_one(issuer).await.expect("an outcome");
    let (
        outcome,
        replayed,
        available,
        retry_after_secs,
        amount,
        captured,
        status,
        charged,
        balance_after,
    ) = row;
    let hold = amount
        .zip(captured)
        .zip(status)
        .map(|((amount, captured), status)| (amount, captured, status));
    Answer {
        outcome,
        replayed,
        available,
        retry_after_secs,
        hold,
        charged,
        balance_after,
    }
}

type Row = (
    String,
    bool,
    Option<i64>,
    Option<i32>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);
