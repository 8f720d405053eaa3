//! Every function that locks rows, called while another transaction holds them: it waits and sees
//! what was done meanwhile, or it passes over them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};

use super::{Ledger, Scene};

#[tokio::test]
async fn functions_that_lock_wait_and_see_what_was_done_or_pass_over() {
    let mut scene = Scene::build().await;
    let (prepared, meetings) = MEETINGS.split_once("\n== ").unwrap_or_default();
    let prepared = AssertSqlSafe(scene.with_accounts(prepared));
    scene.owner.execute(prepared).await.expect("prepared");
    let meetings: Vec<_> = meetings.split("\n== ").map(parts_of).collect();
    let mut wrong = Vec::new();
    for (name, parts) in &meetings {
        let met = scene.meet(parts).await;
        let (waited, answer) = met.unwrap_or_else(|error| (false, error.to_string()));
        let what = if waited { "waits" } else { "passes over" };
        let expected = parts.get("answer").copied().unwrap_or_default();
        if !name.ends_with(what) || answer != expected {
            wrong.push(format!("{name}: {what}, {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let named = meetings
        .iter()
        .filter_map(|(name, _)| name.split(' ').next());
    let unknown = scene.unknown(LOCKING, named).await;
    assert_eq!(unknown, [""; 0], "nothing here needs their locks");
    scene.ledger.finish_damaged();
}

/// The name of a meeting, and its parts by what they are.
fn parts_of(meeting: &str) -> (&str, BTreeMap<&str, &str>) {
    let (name, parts) = meeting.split_once("\n-- ").unwrap_or_default();
    let parts = parts
        .split("\n-- ")
        .filter_map(|part| part.split_once('\n'));
    (
        name,
        parts.map(|(what, text)| (what, text.trim())).collect(),
    )
}

impl Scene {
    /// Whether the call waited for the other transaction, and what it answered.
    async fn meet(&mut self, parts: &BTreeMap<&str, &str>) -> sqlx::Result<(bool, String)> {
        let [before, other, then, call] = ["before", "other", "then", "call"].map(|what| {
            let sql = parts.get(what).copied().unwrap_or_default();
            AssertSqlSafe(self.with_accounts(sql))
        });
        self.owner.execute(before).await?;
        let pid = sqlx::query_scalar("select pg_backend_pid()");
        let pid: i32 = pid.fetch_one(&mut self.owner).await?;

        let mut holder = self.ledger.db.owner.begin().await?;
        holder.execute(other).await?;
        let mut calling = pin!(sqlx::query_scalar(call).fetch_one(&mut self.owner));
        let early = tokio::select! {
            answer = &mut calling => Some(answer),
            result = until_it_waits(&self.ledger, pid) => result.map(|()| None)?,
        };
        let waited = early.is_none();
        let then = holder.execute(then).await;
        holder.commit().await?;
        let answer: sqlx::Result<String> = match early {
            Some(answer) => answer,
            None => calling.await,
        };
        let answer = then.and(answer);
        Ok((waited, answer.unwrap_or_else(|error| error.to_string())))
    }
}

async fn until_it_waits(ledger: &Ledger, pid: i32) -> sqlx::Result<()> {
    let sql = "select cardinality(pg_blocking_pids($1)) > 0";
    loop {
        let waits = sqlx::query_scalar(sql).bind(pid);
        if waits.fetch_one(&ledger.db.owner).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const MEETINGS: &str = include_str!("locks.sql");

const LOCKING: &str = "select array_agg(p.proname::text) from pg_proc p
   where p.pronamespace = 'credits'::regnamespace and p.prosrc ~ 'for (no key )?update'";
