//! What happens to the account beside charges and holds: purchases, gifts, corrections, limits.

use time::{Duration, OffsetDateTime};

use super::reference::Reference;
use super::{Dice, now};
use crate::credits::Ledger;
use crate::credits::ledger::buy;
use crate::support::Actor;

/// The account, and somebody else who takes its gifts.
pub struct Beside<'a> {
    ledger: &'a Ledger,
    user: Actor<'a>,
    other: Actor<'a>,
}

impl<'a> Beside<'a> {
    pub async fn new(ledger: &'a Ledger, user: &Actor<'a>) -> Self {
        Self {
            ledger,
            user: user.clone(),
            other: ledger.user("bob").await,
        }
    }

    /// One act, compared with the model.
    pub async fn act(&self, step: u32, dice: &mut Dice, model: &mut Reference) {
        match dice.below(19) {
            0..2 => self.buy(step, dice, model).await,
            2..6 => self.give(step, dice, model).await,
            6..8 => self.cancel(dice, model).await,
            8..10 => self.redeem(dice, model).await,
            10..13 => self.adjust(step, dice, model).await,
            13..17 => self.refund(dice, model).await,
            _ => self.limit(dice, model).await,
        }
    }

    async fn buy(&self, step: u32, dice: &mut Dice, model: &mut Reference) {
        let amount = i64::from(1 + dice.below(200));
        let days = (dice.below(2) == 0).then(|| i64::from(8 + dice.below(30)));
        let expires = days.map(Duration::days);
        let id = format!("p{step}");
        buy(self.ledger, &self.user, &id, amount, expires).await;
        let at = now(self.ledger);
        model.buy(amount, expires.map(|expires| at + micros(expires)), at);
    }

    async fn give(&self, step: u32, dice: &mut Dice, model: &mut Reference) {
        let amount = i64::from(1 + dice.below(80));
        let ttl = Duration::seconds(i64::from(1 + dice.below(900_000)));
        let expires_at = self.ledger.app.clock.now() + ttl;
        // Giving needs a recent sign-in, which is not what this is about.
        let sign_in = "
            update auth.sessions set authenticated_at = auth.clock(), last_used_at = auth.clock(),
                   expires_at = auth.clock() + interval '1 hour', absolute_expires_at = auth.clock() + interval '1 hour'
             where user_id = $1";
        self.ledger
            .run(sqlx::query(sign_in).bind(self.user.id.clone()))
            .await;
        let found: (String, Option<i64>) = sqlx::query_as(
            "select outcome, available
               from credits.create_gift($1, (select id from auth.sessions where user_id = $1 limit 1), $2, sha256($2::bytea), $3,
                                        null, null, $4, null, sha256(''), $5, $6, '{}')",
        )
        .bind(&self.user.id)
        .bind(format!("gift{step:018}"))
        .bind(amount)
        .bind(expires_at)
        .bind(model.free().daily)
        .bind(model.free().expires_hours)
        .fetch_one(&self.ledger.db.owner)
        .await
        .expect("an outcome");
        let at = now(self.ledger);
        let (outcome, available) = model.give(amount, at + micros(ttl), at);
        assert_eq!(
            found,
            (outcome.into(), available),
            "step {step}: give {amount}"
        );
    }

    async fn cancel(&self, dice: &mut Dice, model: &mut Reference) {
        let Some(i) = dice.one_of(model.n_gifts()) else {
            return;
        };
        let id = self.gift(i).await;
        let found: String =
            sqlx::query_scalar("select outcome from credits.cancel_gift($1, $2, $3, $4)")
                .bind(&self.user.id)
                .bind(id)
                .bind(model.free().daily)
                .bind(model.free().expires_hours)
                .fetch_one(&self.ledger.db.owner)
                .await
                .expect("an outcome");
        assert_eq!(found, model.cancel_gift(i, now(self.ledger)));
    }

    async fn redeem(&self, dice: &mut Dice, model: &mut Reference) {
        let Some(i) = dice.one_of(model.n_gifts()) else {
            return;
        };
        let id = self.gift(i).await;
        let sql = "select outcome from credits.redeem_gift($1, sha256($2::bytea), 0, 0, '{}')";
        let found: String = sqlx::query_scalar(sql)
            .bind(&self.other.id)
            .bind(id)
            .fetch_one(&self.ledger.db.owner)
            .await
            .expect("an outcome");
        assert_eq!(found, model.gift_is_redeemed(i, now(self.ledger)));
    }

    async fn adjust(&self, step: u32, dice: &mut Dice, model: &mut Reference) {
        let size = i64::from(1 + dice.below(120));
        let amount = if dice.below(2) == 0 { size } else { -size };
        let expires = (amount > 0 && dice.below(2) == 0)
            .then(|| Duration::seconds(i64::from(1 + dice.below(90_000))));
        let expires_at: Option<OffsetDateTime> =
            expires.map(|expires| self.ledger.app.clock.now() + expires);
        let sql =
            "select (credits.adjust($1, $2, 'r', $3, 'user:admin', $4, sha256(''), '{}')).outcome";
        let found: String = sqlx::query_scalar(sql)
            .bind(&self.user.id)
            .bind(amount)
            .bind(expires_at)
            .bind(format!("adjust{step}"))
            .fetch_one(&self.ledger.db.owner)
            .await
            .expect("an outcome");
        let at = now(self.ledger);
        let expected = model.adjust(amount, expires.map(|expires| at + micros(expires)), at);
        assert_eq!(found, expected, "step {step}: adjust {amount}");
    }

    async fn refund(&self, dice: &mut Dice, model: &mut Reference) {
        let Some(i) = dice.one_of(model.n_charges()) else {
            return;
        };
        let amount = i64::from(1 + dice.below(40));
        let (account, seq): (i64, i64) = sqlx::query_as(
            "select a.id, e.seq from credits.accounts a
               join credits.entries e on e.account_id = a.id and e.kind = 'usage' and e.status = 'posted'
              where a.user_id = $1 order by e.seq offset $2 limit 1",
        )
        .bind(&self.user.id)
        .bind(i64::try_from(i).expect("small"))
        .fetch_one(&self.ledger.db.owner)
        .await
        .expect("the charge");
        let call = "select (credits.refund_usage($1, $2, $3, $4, 'r', 'user:admin', null, null, '{}')).outcome";
        let found: String = sqlx::query_scalar(call)
            .bind(&self.user.id)
            .bind(account)
            .bind(seq)
            .bind(amount)
            .fetch_one(&self.ledger.db.owner)
            .await
            .expect("an outcome");
        assert_eq!(
            found,
            model.refund(i, amount, now(self.ledger)),
            "refund {amount} of {seq}"
        );
    }

    async fn limit(&self, dice: &mut Dice, model: &mut Reference) {
        let cap =
            |dice: &mut Dice, most: u32| (dice.below(2) == 0).then(|| i64::from(dice.below(most)));
        model.caps = [cap(dice, 400), cap(dice, 3000)];
        let sql = "select count(*) from credits.set_spend_limits($1, 'a', $2, $3)";
        let _rows: i64 = sqlx::query_scalar(sql)
            .bind(&self.user.id)
            .bind(model.caps[0])
            .bind(model.caps[1])
            .fetch_one(&self.ledger.db.owner)
            .await
            .expect("set");
    }

    async fn gift(&self, i: usize) -> String {
        sqlx::query_scalar("select g.id from credits.gifts g order by g.id offset $1 limit 1")
            .bind(i64::try_from(i).expect("small"))
            .fetch_one(&self.ledger.db.owner)
            .await
            .expect("a gift")
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.whole_microseconds()).expect("in range")
}
