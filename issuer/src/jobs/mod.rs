//! Background work: each job runs on every issuer and does its part once, by a lock in the
//! database. A failing job waits longer each time and never stops the others.

mod health;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use health::{JobHealth, JobState};

use crate::app::App;
use crate::db::ReplicaError;
use crate::{
    accounts, apps, audit, credits, mail, purchases, revocations, second_factor, sessions,
    signing_keys, webhooks,
};

/// The running jobs; they are cut off when this is dropped.
#[derive(Debug)]
pub struct Jobs {
    running: JoinSet<()>,
    over: watch::Sender<bool>,
}

impl Jobs {
    /// Lets each job finish what it is at, within limits: a mail that is on its way is noted as
    /// sent, so that nobody sends it again.
    pub async fn finish(mut self) {
        self.over.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout(FINISH_WITHIN, all).await.is_err() {
            tracing::warn!("a background job was cut off; another issuer does its part again");
        }
    }
}

/// Starts every job.
pub fn start(app: &Arc<App>) -> Jobs {
    let mut all: Vec<(&'static str, Duration, Work)> = vec![
        ("revocations", PUBLISH_EVERY, |app| Box::pin(publish(app))),
        ("signing_keys", RELOAD_KEYS_EVERY, |app| {
            Box::pin(reload_keys(app))
        }),
        ("key_maintenance", MAINTAIN_KEYS_EVERY, |app| {
            Box::pin(maintain_keys(app))
        }),
        ("mail", SEND_MAIL_EVERY, |app| Box::pin(send_mail(app))),
        ("purchases", APPLY_PAYMENTS_EVERY, |app| {
            Box::pin(apply_payments(app))
        }),
        ("webhooks", SEND_WEBHOOKS_EVERY, |app| {
            Box::pin(send_webhooks(app))
        }),
        ("rate_limits", RECONNECT_EVERY, |app| {
            Box::pin(reconnect(app))
        }),
        ("audit", SEAL_EVERY, |app| Box::pin(seal(app))),
        ("sweep", SWEEP_EVERY, |app| Box::pin(sweep(app))),
    ];
    if app.db.replica().is_some() {
        all.push(("replica", CHECK_REPLICA_EVERY, |app| {
            Box::pin(check_replica(app))
        }));
    }
    let over = watch::Sender::new(false);
    let mut running = JoinSet::new();
    for (name, every, work) in all {
        let job = run(name, every, Arc::clone(app), work, over.subscribe());
        running.spawn(job);
    }
    Jobs { running, over }
}

/// Loads keys and feed for the first time, so that an issuer that listens can also serve.
///
/// # Errors
/// What kept it from loading, in words for the log.
pub async fn load(app: &App) -> Result<(), String> {
    maintain_keys(app).await?;
    note(app, "key_maintenance", true);
    reload_keys(app).await?;
    note(app, "signing_keys", true);
    reconnect(app).await?;
    notice_foreign_hashes(app).await?;
    publish(app).await?;
    note(app, "revocations", true);
    Ok(())
}

type Work =
    for<'a> fn(&'a App) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

async fn run(
    name: &'static str,
    every: Duration,
    app: Arc<App>,
    work: Work,
    mut over: watch::Receiver<bool>,
) {
    let mut failures = 0_u32;
    loop {
        let pause = every
            .saturating_mul(1 << failures.min(MAX_BACKOFF_DOUBLINGS))
            .min(MAX_PAUSE.max(every));
        let waiting = async {
            match name {
                // Woken when this issuer has something to publish.
                "revocations" => drop(timeout(pause, app.feed.woken()).await),
                _ => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            _ = over.wait_for(|over| *over) => return,
            () = waiting => {}
        }
        let within = match name {
            "mail" => SEND_MAIL_WITHIN,
            "webhooks" => SEND_WEBHOOKS_WITHIN,
            _ => JOB_WITHIN,
        };
        let result = timeout(within, work(&app)).await;
        let succeeded = match result.unwrap_or_else(|_| Err("the database does not answer".into()))
        {
            Ok(()) => {
                failures = 0;
                true
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(
                    job = name,
                    failures,
                    error,
                    "a background job failed and will be tried again"
                );
                false
            }
        };
        note(&app, name, succeeded);
    }
}

fn note(app: &App, job: &'static str, succeeded: bool) {
    app.metrics.job_ran(job, succeeded);
    app.job_health.note(job, succeeded, app.clock.now());
}

async fn publish(app: &App) -> Result<(), String> {
    revocations::publish(app)
        .await
        .map_err(|error| error.to_string())?;
    revocations::reload(app)
        .await
        .map_err(|error| error.to_string())
}

async fn reload_keys(app: &App) -> Result<(), String> {
    signing_keys::reload(app)
        .await
        .map_err(|error| error.to_string())
}

async fn maintain_keys(app: &App) -> Result<(), String> {
    signing_keys::maintain(app)
        .await
        .map_err(|error| error.to_string())?;
    apps::reseal(app).await.map_err(|error| error.to_string())?;
    second_factor::reseal(app)
        .await
        .map_err(|error| error.to_string())
}

async fn send_mail(app: &App) -> Result<(), String> {
    mail::send_due(app)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn apply_payments(app: &App) -> Result<(), String> {
    purchases::apply_due(app)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn send_webhooks(app: &App) -> Result<(), String> {
    webhooks::send_due(app)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A Redis that is away is no failure of the job: the limits go on without it.
async fn reconnect(app: &App) -> Result<(), String> {
    app.limiter.reconnect().await;
    Ok(())
}

/// A replica that is away is no failure of the job: the primary answers.
async fn check_replica(app: &App) -> Result<(), String> {
    let Some(replica) = app.db.replica() else {
        return Ok(());
    };
    let found = replica.check(&app.db).await;
    let (was_up, is_up) = (app.metrics.replica_up.get() == 1, found.is_ok());
    match &found {
        Ok(secs) if !was_up => tracing::info!(secs, "reads may go to the replica"),
        Err(error) if was_up => tracing::warn!(%error, "reads go to the primary"),
        _ => {}
    }
    app.metrics.replica_up.set(is_up.into());
    if let Ok(secs) | Err(ReplicaError::Behind { secs }) = found {
        app.metrics.replica_behind_secs.set(secs);
    }
    Ok(())
}

async fn notice_foreign_hashes(app: &App) -> Result<(), String> {
    accounts::notice_foreign_hashes(app)
        .await
        .map_err(|error| error.to_string())
}

async fn seal(app: &App) -> Result<(), String> {
    audit::seal(app)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn sweep(app: &App) -> Result<(), String> {
    notice_foreign_hashes(app).await?;
    accounts::erase_due(app)
        .await
        .map_err(|error| error.to_string())?;
    mail::sweep(app).await.map_err(|error| error.to_string())?;
    webhooks::sweep(app)
        .await
        .map_err(|error| error.to_string())?;
    sessions::sweep(app)
        .await
        .map_err(|error| error.to_string())?;
    second_factor::sweep(app)
        .await
        .map_err(|error| error.to_string())?;
    sweep_credits(app).await?;
    purchases::sweep(app)
        .await
        .map_err(|error| error.to_string())?;
    revocations::sweep(app)
        .await
        .map_err(|error| error.to_string())
}

async fn sweep_credits(app: &App) -> Result<(), String> {
    credits::settle_sleeping(app)
        .await
        .map_err(|error| error.to_string())?;
    credits::sweep_gifts(app)
        .await
        .map_err(|error| error.to_string())?;
    credits::roll_up_usage(app)
        .await
        .map_err(|error| error.to_string())
}

/// Well below the second within which another issuer's revocation must be served.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// Another issuer's rotation must be noticed within a second.
const RELOAD_KEYS_EVERY: Duration = Duration::from_millis(500);
/// Keys change once a month; this bounds how late.
const MAINTAIN_KEYS_EVERY: Duration = Duration::from_secs(10);
/// How long limits may be each issuer's own after Redis is back.
const RECONNECT_EVERY: Duration = Duration::from_millis(500);
/// An event that is not chained yet can be removed without a trace.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// A replica that stops is asked no more within this and what it may be behind.
const CHECK_REPLICA_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Somebody waits for the mail in front of a screen.
const SEND_MAIL_EVERY: Duration = Duration::from_millis(500);
/// Somebody has just paid and waits for their credits.
const APPLY_PAYMENTS_EVERY: Duration = Duration::from_millis(500);
/// A batch takes this long when the server answers nothing; its lease is longer.
const SEND_MAIL_WITHIN: Duration = Duration::from_secs(120);
/// An app shows its users what has changed.
const SEND_WEBHOOKS_EVERY: Duration = Duration::from_millis(500);
/// A run takes up work for ten seconds, and the last attempt takes five.
const SEND_WEBHOOKS_WITHIN: Duration = Duration::from_secs(30);
/// How long an issuer that stops waits for its jobs.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// No job of ours takes seconds; one that does waits for a server that is gone.
const JOB_WITHIN: Duration = Duration::from_secs(5);
/// The database is back within 2 s of its return.
const MAX_PAUSE: Duration = Duration::from_secs(1);
const MAX_BACKOFF_DOUBLINGS: u32 = 4;
