//! Reports in every order, some of them twice, end in one state.

use futures_util::future::join_all;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::shop::{Shop, Stripe, event, paid, post, sign};
use crate::support::proving;

/// How many orders are tried in an ordinary run; `PROVE_ALL=1` tries every one.
const SAMPLE: usize = 500;
const SEED: u64 = 20_260_301;
const SIDE_BY_SIDE: usize = 8;

/// Seven reports about one payment: paid, refunded in part, refunded again, the second refund
/// fails, disputed, lost.
fn reports(n: usize, purchase: &str) -> [(&'static str, Value); 7] {
    let payment = format!("pi_{n}");
    let refund = |id: &str, amount: i64, status: &str| json!({"id": format!("{id}_{n}"), "payment_intent": payment, "amount": amount, "status": status});
    let dispute = |status: &str| json!({"id": format!("dp_{n}"), "payment_intent": payment, "amount": 100, "currency": "eur", "status": status});
    [
        (
            "checkout.session.completed",
            paid(&format!("cs_{n}"), purchase, &payment),
        ),
        ("refund.created", refund("re_a", 150, "succeeded")),
        (
            "charge.refunded",
            json!({"id": "ch_1", "payment_intent": payment, "amount_refunded": 350}),
        ),
        ("refund.updated", refund("re_b", 200, "pending")),
        ("refund.failed", refund("re_b", 200, "failed")),
        ("charge.dispute.created", dispute("needs_response")),
        ("charge.dispute.closed", dispute("lost")),
    ]
}

#[tokio::test]
async fn seven_reports_in_any_order_with_duplicates_end_in_one_state() {
    let shop = Shop::open().await;
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let mut orders = permutations();
    assert_eq!(orders.len(), 5_040);
    if proving("ALL").is_none() {
        shuffle(&mut orders, &mut rng);
        orders.truncate(SAMPLE);
    }
    let plays: Vec<(usize, Vec<usize>)> = orders
        .iter()
        .map(|order| with_duplicates(order, &mut rng))
        .enumerate()
        .collect();
    // Each on an account of its own, so some can be played side by side.
    for plays in plays.chunks(SIDE_BY_SIDE) {
        join_all(plays.iter().map(|(n, played)| play_all(&shop, *n, played))).await;
    }
    println!(
        "figure: {} orders of 7 reports with 3 duplicates each, seed {SEED}: one end state",
        orders.len()
    );
    shop.finish().await;
}

/// The order with three of its reports once more, anywhere.
fn with_duplicates(order: &[usize; 7], rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut played = order.to_vec();
    for _ in 0..3 {
        let again = played[pick(rng, played.len())];
        played.insert(pick(rng, played.len() + 1), again);
    }
    played
}

async fn play_all(shop: &Shop, n: usize, played: &[usize]) {
    let purchase = begin(shop, n).await;
    let reports = reports(n, &purchase);
    for (i, index) in played.iter().enumerate() {
        let (kind, object) = &reports[*index];
        play(shop, &format!("evt_{n}_{i}"), kind, *index, object).await;
    }
    let state = state(shop, n).await;
    assert_eq!(state, expected(), "seed {SEED}, order {n}: {played:?}");
}

/// 150 refunded and 100 lost of 500: half is taken back, and the lost dispute keeps the freeze.
fn expected() -> Value {
    json!({
        "balance": 250, "debt": 0, "freezes": 1, "status": "paid", "refunded": 150, "lost": 100,
        "takenBack": 250, "problem": null, "granted": 500,
    })
}

/// Comes in over HTTP, the later of the seven reported a second later, and is applied at once.
async fn play(shop: &Shop, id: &str, kind: &str, index: usize, object: &Value) {
    let now = shop.stripe.second();
    let seconds = i64::try_from(index).expect("small");
    let body = event(id, kind, now + seconds, object);
    post(shop, &body, &sign(Stripe::WEBHOOK_SECRET, now, &body))
        .await
        .expect(200);
    let outcome: String = sqlx::query_scalar("select credits.apply_stripe_event($1, 20)")
        .bind(id)
        .fetch_one(&shop.db.owner)
        .await
        .expect("applied");
    assert_ne!(outcome, "failed", "{kind}");
}

/// An account of its own with a purchase that has begun, without the hashing of a registration.
async fn begin(shop: &Shop, n: usize) -> String {
    let (user, purchase) = (format!("user-{n:016}"), format!("purchase-{n}"));
    shop.run(
        sqlx::query("select auth.register_user($1, $2, null, 'x', 'en', '{}')")
            .bind(&user)
            .bind(format!("u{n}@example.com")),
    )
    .await;
    shop.run(sqlx::query("select credits.open_account($1, 0, null)").bind(&user))
        .await;
    shop.run(
        sqlx::query(
            "insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, checkout_session_id, created_at)
             select a.id, $2, 'small', 500, 500, 'EUR', $3, auth.clock() from credits.accounts a where a.user_id = $1",
        )
        .bind(&user)
        .bind(&purchase)
        .bind(format!("cs_{n}")),
    )
    .await;
    purchase
}

async fn state(shop: &Shop, n: usize) -> Value {
    sqlx::query_scalar(
        "select jsonb_build_object(
           'balance', (select sum(g.remaining) from credits.credit_grants g where g.account_id = a.id),
           'debt', credits.debt_of(a.id), 'freezes', a.n_freezes, 'status', p.status, 'refunded', p.refunded_cents,
           'lost', p.disputed_cents, 'takenBack', p.clawed_back, 'problem', p.problem,
           'granted', (select sum(e.amount) from credits.entries e where e.account_id = a.id and e.kind = 'purchase'))
           from credits.accounts a join credits.purchases p on p.account_id = a.id where p.id = $1",
    )
    .bind(format!("purchase-{n}"))
    .fetch_one(&shop.db.owner)
    .await
    .expect("the purchase is there")
}

/// All orders of seven, by Heap's algorithm.
fn permutations() -> Vec<[usize; 7]> {
    let mut order = [0, 1, 2, 3, 4, 5, 6];
    let mut counters = [0; 7];
    let (mut all, mut i) = (vec![order], 0);
    while i < 7 {
        if counters[i] < i {
            order.swap(if i % 2 == 0 { 0 } else { counters[i] }, i);
            all.push(order);
            counters[i] += 1;
            i = 0;
        } else {
            counters[i] = 0;
            i += 1;
        }
    }
    all
}

fn shuffle(orders: &mut [[usize; 7]], rng: &mut ChaCha20Rng) {
    for i in (1..orders.len()).rev() {
        orders.swap(i, pick(rng, i + 1));
    }
}

fn pick(rng: &mut ChaCha20Rng, n: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(n).expect("small")).expect("below n")
}
