//! Sends what is due. Any number of issuers do this at once; each delivery is leased to one.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::model::DueWebhook;
use super::signature::signatures;
use super::store::{self, Outcome};
use crate::app::App;
use crate::apps::{SigningSecret, open_webhook_secret};
use crate::db::DbError;
use crate::metrics::OutcomeLabel;
use crate::outgoing::{Answer, SendError};

/// Sends until nothing is due, or for a while; says how many attempts were made.
///
/// # Errors
/// [`DbError`], after what was under way has ended. A delivery that arrived and could not be noted
/// is sent again when its lease is over.
pub async fn send_due(app: &App) -> Result<usize, DbError> {
    let began = Instant::now();
    let mut under_way = FuturesUnordered::new();
    let (mut n_attempts, mut result) = (0, Ok(()));
    loop {
        if result.is_ok() && began.elapsed() < CLAIM_FOR && under_way.len() <= MAX_UNDER_WAY / 2 {
            match claim(app, MAX_UNDER_WAY - under_way.len()).await {
                Ok(due) => {
                    n_attempts += due.len();
                    under_way.extend(due.into_iter().map(|webhook| deliver(app, webhook)));
                }
                Err(error) => result = Err(error),
            }
        }
        // While one receiver takes its time, what is due to the others is fetched.
        match timeout(CLAIM_EVERY, under_way.next()).await {
            Ok(None) => return result.map(|()| n_attempts),
            Ok(Some(delivered)) => result = result.and(delivered),
            Err(_elapsed) => {}
        }
    }
}

async fn claim(app: &App, room: usize) -> Result<Vec<DueWebhook>, DbError> {
    let limit = i32::try_from(room).unwrap_or(i32::MAX);
    let mut connection = app.db.acquire().await?;
    store::claim_webhooks(
        &mut connection,
        limit,
        MAX_UNDER_WAY_PER_APP,
        LEASE_SECS,
        MAX_ATTEMPTS,
    )
    .await
}

async fn deliver(app: &App, webhook: DueWebhook) -> Result<(), DbError> {
    let result = attempt(app, &webhook).await;
    let outcome = judge(webhook.attempt, result, app.clock.now());
    count(app, outcome.verdict, 1);
    if let Some(code) = outcome.code {
        tracing::warn!(
            delivery = webhook.id,
            app = webhook.app_id,
            attempt = webhook.attempt,
            code,
            status = outcome.status,
            outcome = outcome.verdict,
            "a webhook was not delivered"
        );
    }
    let mut connection = app.db.acquire().await?;
    let n_gone = store::finish_webhook(&mut connection, &webhook, &outcome).await?;
    count(app, "dead", n_gone);
    Ok(())
}

/// Why there was no answer, or none was asked for.
enum Failure {
    NoReceiver,
    Secret,
    Send(SendError),
}

async fn attempt(app: &App, webhook: &DueWebhook) -> Result<Answer, Failure> {
    let url = webhook.url.as_deref().ok_or(Failure::NoReceiver)?;
    let secrets = secrets(app, webhook).ok_or(Failure::Secret)?;
    let timestamp = app.clock.now().unix_timestamp();
    let signature = signatures(&secrets, &webhook.event_id, timestamp, &webhook.body);
    let headers = [
        ("webhook-id", webhook.event_id.clone()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature),
    ];
    let sent = app.outgoing.post(url, &headers, webhook.body.clone()).await;
    sent.map_err(Failure::Send)
}

/// The present secret, and the one before if it can be read and still signs.
fn secrets(app: &App, webhook: &DueWebhook) -> Option<Vec<SigningSecret>> {
    let open = |sealed: &Vec<u8>| open_webhook_secret(&app.master_keys, &webhook.app_id, sealed);
    let mut secrets = vec![webhook.secret.as_ref().and_then(open)?];
    secrets.extend(webhook.previous_secret.as_ref().and_then(open));
    Some(secrets)
}

fn judge(attempt: i32, result: Result<Answer, Failure>, now: OffsetDateTime) -> Outcome {
    let pause = usize::try_from(attempt - 1)
        .ok()
        .and_then(|i| PAUSES_SECS.get(i));
    let answer = result.as_ref().ok().copied();
    let (code, hopeless) = match result.map(|answer| answer.status) {
        Ok(200..=299) => (None, false),
        Ok(300..=399) => (Some("redirected"), false),
        Ok(410) => (Some("gone"), true),
        Ok(_) => (Some("status"), false),
        Err(Failure::NoReceiver) => (Some("no_receiver"), true),
        Err(Failure::Secret) => (Some("secret"), false),
        Err(Failure::Send(SendError::Address)) => (Some("address"), false),
        Err(Failure::Send(SendError::Timeout)) => (Some("timeout"), false),
        Err(Failure::Send(SendError::Unreachable)) => (Some("unreachable"), false),
    };
    let verdict = match (code, pause) {
        (None, _) => "delivered",
        (Some(_), Some(_)) if !hopeless => "retry",
        (Some(_), _) => "dead",
    };
    Outcome {
        verdict,
        status: answer.map(|answer| answer.status.into()),
        code,
        retry_secs: pause.map_or(0, |pause| wish_secs(answer, now).max(*pause)),
    }
}

/// How long a receiver that has too much to do asks us to wait; no longer than our longest pause.
fn wish_secs(answer: Option<Answer>, now: OffsetDateTime) -> i32 {
    let wish = match answer {
        Some(Answer {
            status: 429 | 503,
            retry_after: Some(wish),
        }) => wish.secs_from(now),
        _ => 0,
    };
    i32::try_from(wish).map_or(MAX_WISH_SECS, |secs| secs.min(MAX_WISH_SECS))
}

pub(super) fn count(app: &App, outcome: &'static str, n: i64) {
    let n = u64::try_from(n).unwrap_or(0);
    if n > 0 {
        let label = OutcomeLabel { outcome };
        app.metrics.webhooks.get_or_create(&label).inc_by(n);
    }
}

/// As the Standard Webhooks specification proposes: a restart costs seconds, and a receiver that is
/// mended within three days loses nothing. Attempts of one receiver are few at a time anyway, so
/// nothing is added by chance to spread them.
const PAUSES_SECS: [i32; 9] = [
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
];
/// A day: as long as the longest pause.
const MAX_WISH_SECS: i32 = 24 * 3600;
/// The first and one after each pause.
const MAX_ATTEMPTS: i32 = 10;
/// Each is a connection and some kilobytes.
const MAX_UNDER_WAY: usize = 64;
/// One receiver that hangs leaves room for fifteen others.
const MAX_UNDER_WAY_PER_APP: i32 = 4;
/// Longer than an attempt takes, and than the database's answer to it.
const LEASE_SECS: i32 = 60;
/// How long what has just become due waits while other attempts are under way.
const CLAIM_EVERY: Duration = Duration::from_millis(200);
/// A run of the job ends some time, so that it is counted and its failures are noticed.
const CLAIM_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::outgoing::RetryAfter;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

    fn answered(status: u16) -> Answer {
        Answer {
            status,
            retry_after: None,
        }
    }

    fn verdict(
        attempt: i32,
        result: Result<Answer, Failure>,
    ) -> (&'static str, Option<&'static str>) {
        let outcome = judge(attempt, result, NOW);
        (outcome.verdict, outcome.code)
    }

    #[test]
    fn every_failed_attempt_but_the_last_is_followed_by_its_pause() {
        let pauses: Vec<i32> = (1..MAX_ATTEMPTS)
            .map(|attempt| {
                let outcome = judge(attempt, Ok(answered(500)), NOW);
                assert_eq!(outcome.verdict, "retry");
                outcome.retry_secs
            })
            .collect();
        assert_eq!(pauses, PAUSES_SECS);
        assert_eq!(
            verdict(MAX_ATTEMPTS, Ok(answered(500))),
            ("dead", Some("status"))
        );
    }

    #[test]
    fn answers_are_judged_by_their_status_alone() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(
                verdict(1, Ok(answered(status))),
                ("delivered", None),
                "{status}"
            );
        }
        for status in [301, 302, 304, 307, 308] {
            let expected = ("retry", Some("redirected"));
            assert_eq!(verdict(1, Ok(answered(status))), expected, "{status}");
        }
        for status in [400, 401, 404, 409, 429, 500, 503, 999] {
            assert_eq!(
                verdict(1, Ok(answered(status))),
                ("retry", Some("status")),
                "{status}"
            );
        }
        assert_eq!(verdict(1, Ok(answered(410))), ("dead", Some("gone")));
    }

    #[test]
    fn who_has_too_much_to_do_is_given_the_time_they_ask_for() {
        let pause = |attempt, status, wish| {
            let retry_after = Some(RetryAfter::Seconds(wish));
            let answer = Answer {
                status,
                retry_after,
            };
            judge(attempt, Ok(answer), NOW).retry_secs
        };
        for status in [429, 503] {
            assert_eq!(pause(1, status, 60), 60);
            assert_eq!(pause(2, status, 60), 300, "not sooner than otherwise");
            assert_eq!(pause(1, status, i64::MAX), MAX_WISH_SECS, "within a day");
        }
        for status in [302, 400, 500] {
            assert_eq!(pause(1, status, 60), 5, "{status} says nothing of load");
        }
        assert_eq!(pause(MAX_ATTEMPTS, 503, 60), 0, "there is no other attempt");
    }

    #[test]
    fn where_nobody_listens_nothing_is_tried_again() {
        let none = || Err(Failure::NoReceiver);
        assert_eq!(verdict(1, none()), ("dead", Some("no_receiver")));
        for (error, code) in [
            (SendError::Address, "address"),
            (SendError::Timeout, "timeout"),
            (SendError::Unreachable, "unreachable"),
        ] {
            let failed = Err(Failure::Send(error));
            assert_eq!(verdict(1, failed), ("retry", Some(code)));
        }
        assert_eq!(verdict(1, Err(Failure::Secret)), ("retry", Some("secret")));
    }
}
