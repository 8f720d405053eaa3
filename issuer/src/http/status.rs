//! `/status`: how the issuer is doing, for people. Everything shown is in memory already, so that
//! looking costs no query and works while the database is away.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::make_sync;
use poem::http::StatusCode;
use poem::{Endpoint, Response};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::pages;
use crate::app::App;
use crate::config::Mode;
use crate::jobs::JobState;
use crate::metrics::RecentCounts;
use crate::signing_keys::{KeyStage, KeyState, Purpose, ROTATE_AFTER};

/// Answers the page.
pub fn status(app: &Arc<App>) -> impl Endpoint<Output = Response> + use<> {
    let app = Arc::clone(app);
    make_sync(move |_| pages::render(StatusCode::OK, &page(&app)))
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    service: String,
    headline: &'static str,
    worst: &'static str,
    components: Vec<Component>,
    requests: Vec<(&'static str, String)>,
    keys: Vec<Key>,
    jobs: Vec<Job>,
    facts: Vec<(&'static str, String)>,
}

/// A part of the system and how it stands.
struct Component {
    name: &'static str,
    level: Level,
    words: String,
}

struct Key {
    purpose: &'static str,
    state: &'static str,
    kid: String,
    since: String,
}

struct Job {
    name: &'static str,
    level: Level,
    words: String,
}

/// From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// It is not set up, by choice.
    Off,
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Degraded,
    /// It does not work.
    Away,
}

impl Level {
    /// As style and reader know it.
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::Away => "away",
        }
    }
}

fn page(app: &App) -> Page {
    let now = app.clock.now();
    let components = vec![
        database(app, now),
        redis(app),
        keys(app, now),
        feed(app, now),
        jobs(app),
        hashing(app),
        mail(app),
        webhooks(app),
        stripe(app),
    ];
    let worst = components.iter().map(|component| component.level).max();
    let worst = worst.unwrap_or(Level::Good);
    Page {
        service: app.mailer.service().to_owned(),
        headline: match worst {
            Level::Off | Level::Good => "Everything works",
            Level::Degraded => "Something needs attention",
            Level::Away => "Something does not work",
        },
        worst: worst.name(),
        components,
        requests: requests(app.metrics.recent()),
        keys: key_rows(app, now),
        jobs: job_rows(app, now),
        facts: facts(app, now),
    }
}

/// The feed's job asks it five times a second, and tries on while it does not answer.
fn database(app: &App, now: OffsetDateTime) -> Component {
    let state = app.job_health.of("revocations");
    let silent_for = silence(state, app, now);
    let (level, words) = if silent_for <= DATABASE_SILENCE {
        (Level::Good, "answers".to_owned())
    } else {
        let words = format!(
            "has not answered for {}: signing in, refreshing and spending are refused until it does; \
             tokens are verified as before",
            length(silent_for)
        );
        (Level::Away, words)
    };
    Component {
        name: "Database",
        level,
        words,
    }
}

fn redis(app: &App) -> Component {
    let (wanted, up) = (
        app.metrics.rate_limit_shared_wanted.get(),
        app.metrics.rate_limit_shared_up.get(),
    );
    let (level, words) = match (wanted, up) {
        (0, _) => (Level::Off, "not set up: each issuer limits for itself"),
        (_, 0) => (Level::Degraded, "is away: each issuer limits for itself"),
        _ => (Level::Good, "answers"),
    };
    Component {
        name: "Redis",
        level,
        words: words.to_owned(),
    }
}

fn keys(app: &App, now: OffsetDateTime) -> Component {
    let signers: Vec<_> = Purpose::ALL
        .into_iter()
        .filter_map(|purpose| app.keys.signer(purpose))
        .collect();
    let is_overdue = |stage: &KeyStage| {
        stage.state == KeyState::Active && now - stage.since > ROTATE_AFTER + ROTATION_PATIENCE
    };
    let (level, words) = if signers.len() < Purpose::ALL.len() {
        (Level::Away, "are not loaded: nobody can sign in")
    } else if signers.iter().flat_map(|s| &s.stages).any(is_overdue) {
        (Level::Degraded, "rotation is overdue")
    } else {
        (Level::Good, "sign, and a standby is published")
    };
    Component {
        name: "Signing keys",
        level,
        words: words.to_owned(),
    }
}

fn feed(app: &App, now: OffsetDateTime) -> Component {
    let (level, words) = match app.feed.current() {
        None => (Level::Away, "is not loaded".to_owned()),
        Some(feed) => {
            let age = Duration::seconds(now.unix_timestamp() - feed.as_of);
            let words = format!("confirmed {} ago, number {}", length(age), feed.seq);
            match age <= FEED_AGE {
                true => (Level::Good, words),
                false => (Level::Degraded, words),
            }
        }
    };
    Component {
        name: "Revocation feed",
        level,
        words,
    }
}

fn jobs(app: &App) -> Component {
    let failing: Vec<_> = app
        .job_health
        .all()
        .into_iter()
        .filter(|(_, state)| state.n_failures > 0)
        .map(|(name, _)| name)
        .collect();
    let (level, words) = match failing.is_empty() {
        true => (Level::Good, "run".to_owned()),
        false => (Level::Degraded, format!("failing: {}", failing.join(", "))),
    };
    Component {
        name: "Background jobs",
        level,
        words,
    }
}

fn hashing(app: &App) -> Component {
    let (length, limit) = app.hasher.metrics().queue();
    let level = match length > limit / 2 {
        true => Level::Degraded,
        false => Level::Good,
    };
    Component {
        name: "Password hashing",
        level,
        words: format!("{length} in work or waiting, room for {limit}"),
    }
}

fn mail(app: &App) -> Component {
    let oldest = app.metrics.mail_oldest_secs.get();
    let (level, words) = if app.config.mail.smtp.is_some() {
        queue(app.metrics.mails_waiting.get(), oldest)
    } else if app.config.mode == Mode::Development {
        (Level::Good, "lands in /dev/mailbox".to_owned())
    } else {
        (Level::Off, "not set up: no mail is sent".to_owned())
    };
    Component {
        name: "Mail",
        level,
        words,
    }
}

fn webhooks(app: &App) -> Component {
    let oldest = app.metrics.webhook_oldest_secs.get();
    let (level, words) = queue(app.metrics.webhooks_waiting.get(), oldest);
    let (level, words) = match app.metrics.webhooks_dead.get() {
        0 => (level, words),
        n_dead => (Level::Degraded, format!("{words}, {n_dead} given up")),
    };
    Component {
        name: "Webhooks",
        level,
        words,
    }
}

fn stripe(app: &App) -> Component {
    let unresolved = app.metrics.stripe_events_unresolved.get();
    let (level, words) = match (&app.stripe, unresolved) {
        (None, _) => (Level::Off, "not set up: nobody can buy".to_owned()),
        (Some(_), 0) => (Level::Good, "every report is applied".to_owned()),
        (Some(_), n) => (Level::Degraded, format!("{n} reports need an operator")),
    };
    Component {
        name: "Purchases",
        level,
        words,
    }
}

/// What waits to be sent, and whether it waits too long.
fn queue(n_waiting: i64, oldest_secs: i64) -> (Level, String) {
    let age = Duration::seconds(oldest_secs);
    match n_waiting {
        0 => (Level::Good, "nothing waits".to_owned()),
        n if age <= QUEUE_AGE => (Level::Good, format!("{n} waiting")),
        n => {
            let words = format!("{n} waiting, the oldest for {}", length(age));
            (Level::Degraded, words)
        }
    }
}

fn requests(counts: RecentCounts) -> Vec<(&'static str, String)> {
    let share = |n: u64| {
        // Tenths of a percent, without fractions.
        let tenths = (n * 1000).checked_div(counts.answered).unwrap_or(0);
        format!("{n} ({}.{} %)", tenths / 10, tenths % 10)
    };
    vec![
        ("answered", counts.answered.to_string()),
        ("refused (4xx)", share(counts.refused)),
        ("failed (5xx)", share(counts.failed)),
    ]
}

fn key_rows(app: &App, now: OffsetDateTime) -> Vec<Key> {
    let mut rows = Vec::new();
    for purpose in Purpose::ALL {
        let signer = app.keys.signer(purpose);
        for stage in signer.iter().flat_map(|signer| &signer.stages) {
            rows.push(Key {
                purpose: match purpose {
                    Purpose::AccessToken => "access tokens",
                    Purpose::RevocationFeed => "revocation feed",
                },
                state: match stage.state {
                    KeyState::Pending => "standby",
                    KeyState::Active => "signs",
                    KeyState::Retiring | KeyState::Removed => "retiring",
                },
                kid: stage.kid.clone(),
                since: length(now - stage.since),
            });
        }
    }
    rows
}

fn job_rows(app: &App, now: OffsetDateTime) -> Vec<Job> {
    let row = |(name, state): (&'static str, JobState)| {
        let ago = length(silence(state, app, now));
        let (level, words) = match (state.n_failures, state.succeeded_at) {
            (0, _) => (Level::Good, format!("done {ago} ago")),
            (n, Some(_)) => (Level::Degraded, format!("failed {n} times since {ago} ago")),
            (n, None) => (Level::Degraded, format!("failed {n} times, never done")),
        };
        Job { name, level, words }
    };
    app.job_health.all().into_iter().map(row).collect()
}

fn facts(app: &App, now: OffsetDateTime) -> Vec<(&'static str, String)> {
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("running for", length(now - app.metrics.started_at())),
        ("seen at", instant(now)),
    ]
}

/// How long a job has not succeeded; since the start when it never has.
fn silence(state: JobState, app: &App, now: OffsetDateTime) -> Duration {
    now - state.succeeded_at.unwrap_or(app.metrics.started_at())
}

fn instant(at: OffsetDateTime) -> String {
    at.truncate_to_second()
        .format(&Rfc3339)
        .expect("the years of clocks have four digits")
}

/// `3 s`, `12 min`, `5 h`, `29 days`: as exact as a glance needs.
fn length(time: Duration) -> String {
    match time.whole_seconds().max(0) {
        secs @ 0..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs @ 7_200..172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

/// A few attempts of the job that asks it, with the pauses between them.
const DATABASE_SILENCE: Duration = Duration::seconds(8);
/// Verifiers are promised two seconds; a moment more is no reason to look.
const FEED_AGE: Duration = Duration::seconds(5);
/// A day after a rotation was due, nobody will make it by themselves.
const ROTATION_PATIENCE: Duration = Duration::days(1);
/// The first seven attempts are made by then.
const QUEUE_AGE: Duration = Duration::minutes(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_time_reads_well_at_every_scale() {
        for (secs, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(length(Duration::seconds(secs)), text);
        }
    }

    #[test]
    fn share_of_refusals_is_shown_in_tenths_of_a_percent() {
        let counts = RecentCounts {
            answered: 1_000,
            refused: 333,
            failed: 1,
        };
        let shown: Vec<_> = requests(counts).into_iter().map(|(_, text)| text).collect();
        assert_eq!(shown, ["1000", "333 (33.3 %)", "1 (0.1 %)"]);
        let none = requests(RecentCounts::default());
        assert_eq!(none[2].1, "0 (0.0 %)", "nothing divided by nothing");
    }

    #[test]
    fn what_waits_is_a_fault_only_when_it_waits_for_long() {
        assert_eq!(queue(0, 0).0, Level::Good);
        assert_eq!(queue(7, 600).0, Level::Good);
        assert_eq!(queue(7, 601).0, Level::Degraded);
    }
}
