//! Sends what is due. Any number of issuers do this at once; each mail is leased to one.

use futures_util::future::join_all;

use super::content::Writer;
use super::mailer::SendError;
use super::model::{DueMail, Template};
use super::store::{self, Outcome};
use crate::app::App;
use crate::credits::{self, GiftMail};
use crate::db::DbError;
use crate::metrics::OutcomeLabel;

/// Sends one batch and says how many were tried.
///
/// # Errors
/// [`DbError`]. A mail that was sent and could not be noted is sent again when its lease is over.
pub async fn send_due(app: &App) -> Result<usize, DbError> {
    let mut connection = app.db.acquire().await?;
    let due = store::claim_mail(&mut connection, BATCH, LEASE_SECS, MAX_TRIES).await?;
    drop(connection);
    let results = join_all(due.iter().map(|mail| deliver(app, mail))).await;
    note_backlog(app).await?;
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(due.len())
}

async fn deliver(app: &App, mail: &DueMail) -> Result<(), DbError> {
    let result = attempt(app, mail).await;
    let outcome = judge(mail.attempt, &result);
    app.metrics
        .mails
        .get_or_create(&OutcomeLabel {
            outcome: outcome.verdict,
        })
        .inc();
    if !is_expected(&result) {
        tracing::warn!(
            mail = mail.id,
            template = mail.template,
            attempt = mail.attempt,
            code = outcome.code,
            outcome = outcome.verdict,
            "a mail was not sent"
        );
    }
    let mut connection = app.db.acquire().await?;
    store::finish_mail(&mut connection, mail, &outcome).await?;
    Ok(())
}

async fn attempt(app: &App, mail: &DueMail) -> Result<(), SendError> {
    let unwritable = || SendError::Permanent("template".into());
    if !mail.wanted {
        return Err(SendError::Permanent("obsolete".into()));
    }
    let template = Template::parse(&mail.template).ok_or_else(unwritable)?;
    let gift = gift(app, template, mail).await?;
    let writer = Writer {
        links: &app.mail_links,
        base_url: &app.config.http.base_url,
        service: app.mailer.service(),
        gift,
    };
    let written = writer.write(template, mail).ok_or_else(unwritable)?;
    let name = app.mail_links.message_name(mail.id);
    app.mailer.send(&name, mail, written).await
}

/// What a gift says is read when the mail is written: one that was taken back meanwhile is not
/// announced any more.
async fn gift(
    app: &App,
    template: Template,
    mail: &DueMail,
) -> Result<Option<GiftMail>, SendError> {
    let Some(gift_id) = mail.change.as_deref().filter(|_| template.is_about_gift()) else {
        return Ok(None);
    };
    let found = async {
        let mut connection = app.db.acquire().await?;
        credits::find_gift_mail(&mut connection, gift_id, template.name()).await
    };
    match found.await {
        Ok(Some(gift)) => Ok(Some(gift)),
        Ok(None) => Err(SendError::Permanent("obsolete".into())),
        Err(_) => Err(SendError::Transient("database".into())),
    }
}

fn judge(attempt: i32, result: &Result<(), SendError>) -> Outcome<'_> {
    let (verdict, code) = match result {
        Ok(()) => ("delivered", None),
        Err(SendError::Off) => ("dead", Some("mail_off")),
        Err(SendError::Permanent(code)) if is_hopeless(code) || attempt >= MAX_PERMANENT_TRIES => {
            ("dead", Some(code.as_str()))
        }
        Err(SendError::Transient(code)) if attempt >= MAX_TRIES => ("dead", Some(code.as_str())),
        Err(SendError::Permanent(code) | SendError::Transient(code)) => {
            ("retry", Some(code.as_str()))
        }
    };
    Outcome {
        verdict,
        code,
        retry_secs: backoff_secs(attempt),
    }
}

/// Delivered, or not to be delivered by anybody's choice.
fn is_expected(result: &Result<(), SendError>) -> bool {
    match result {
        Ok(()) | Err(SendError::Off) => true,
        Err(SendError::Permanent(code)) => code == "obsolete",
        Err(SendError::Transient(_)) => false,
    }
}

/// Words of ours: no server will judge otherwise.
fn is_hopeless(code: &str) -> bool {
    matches!(code, "obsolete" | "template" | "address")
}

/// 5 s, 10 s, 20 s, … at most an hour: a server that is away for a minute costs a minute.
fn backoff_secs(attempt: i32) -> i32 {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(MAX_DOUBLINGS);
    FIRST_PAUSE_SECS
        .saturating_mul(1 << doublings)
        .min(MAX_PAUSE_SECS)
}

async fn note_backlog(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let (n_waiting, oldest_secs) = store::load_backlog(&mut connection).await?;
    app.metrics.mails_waiting.set(n_waiting);
    app.metrics.mail_oldest_secs.set(oldest_secs);
    Ok(())
}

/// Four rounds over the connections that the transport keeps.
const BATCH: i32 = 32;
/// Longer than a batch takes when every mail of it runs into the transport's timeout.
const LEASE_SECS: i32 = 180;
/// About a day with the pauses between them; links in mail have run out by then.
const MAX_TRIES: i32 = 30;
/// A server may refuse for good by mistake, for a minute or so.
const MAX_PERMANENT_TRIES: i32 = 3;
const FIRST_PAUSE_SECS: i32 = 5;
const MAX_PAUSE_SECS: i32 = 3600;
const MAX_DOUBLINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(attempt: i32, result: &Result<(), SendError>) -> &'static str {
        judge(attempt, result).verdict
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_last_about_a_day() {
        let first: Vec<i32> = (1..=4).map(backoff_secs).collect();
        assert_eq!(first, [5, 10, 20, 40]);
        assert_eq!(backoff_secs(MAX_TRIES), 3600);
        let total: i32 = (1..MAX_TRIES).map(backoff_secs).sum();
        assert!((18 * 3600..26 * 3600).contains(&total), "{total}");
    }

    #[test]
    fn transient_refusals_are_tried_to_the_end_and_permanent_ones_three_times() {
        let transient = || Err(SendError::Transient("450".into()));
        assert_eq!(outcome(1, &transient()), "retry");
        assert_eq!(outcome(MAX_TRIES - 1, &transient()), "retry");
        assert_eq!(outcome(MAX_TRIES, &transient()), "dead");
        let permanent = || Err(SendError::Permanent("550".into()));
        assert_eq!(outcome(2, &permanent()), "retry");
        assert_eq!(outcome(3, &permanent()), "dead");
    }

    #[test]
    fn what_cannot_be_written_or_is_not_wanted_is_not_tried_again() {
        for code in ["obsolete", "template", "address"] {
            assert_eq!(outcome(1, &Err(SendError::Permanent(code.into()))), "dead");
        }
        assert_eq!(outcome(1, &Err(SendError::Off)), "dead");
        assert_eq!(outcome(1, &Ok(())), "delivered");
    }
}
