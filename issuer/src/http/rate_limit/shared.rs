//! Budgets in Redis, shared by all issuers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Script};

use super::model::{Budget, Class, Decision, Subject};
use crate::config::RedisConfig;
use crate::metrics::Metrics;
use crate::secret::{DerivedKey, base64url};

/// A connection to Redis, while there is one.
pub struct SharedTable {
    client: Client,
    connection: ArcSwapOption<MultiplexedConnection>,
    script: Script,
    digests: DerivedKey,
    is_reported_away: AtomicBool,
    up: Gauge,
    fallbacks: Counter,
}

impl SharedTable {
    /// Not connected yet; `digests` makes the keys.
    pub fn new(config: &RedisConfig, digests: DerivedKey, metrics: &Metrics) -> Self {
        metrics.rate_limit_shared_wanted.set(1);
        Self {
            client: config.client.clone(),
            connection: ArcSwapOption::empty(),
            script: Script::new(DRAW),
            digests,
            is_reported_away: AtomicBool::new(false),
            up: metrics.rate_limit_shared_up.clone(),
            fallbacks: metrics.rate_limit_fallbacks.clone(),
        }
    }

    /// Connects when there is no connection. Says so once, whether it worked or not.
    pub async fn reconnect(&self) {
        if self.connection.load().is_some() {
            return;
        }
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        match self
            .client
            .get_multiplexed_async_connection_with_config(&limits)
            .await
        {
            Ok(connection) => {
                tracing::info!("rate limits are shared through Redis");
                self.connection.store(Some(Arc::new(connection)));
                self.is_reported_away.store(false, Ordering::Relaxed);
                self.up.set(1);
            }
            Err(error) => self.report_away(&format!("{:?}", error.kind())),
        }
    }

    /// Draws one request; `None` when Redis is away.
    pub async fn draw(&self, class: Class, subject: Subject, budget: Budget) -> Option<Decision> {
        let Some(shared) = self.connection.load_full() else {
            self.fallbacks.inc();
            return None;
        };
        let mut connection = MultiplexedConnection::clone(&shared);
        let mut call = self.script.key(self.key(class, subject));
        call.arg(budget.interval_micros()).arg(budget.limit);
        let work = call.invoke_async::<i64>(&mut connection);
        match tokio::time::timeout(ANSWER_WITHIN, work).await {
            Ok(Ok(ahead_micros)) => Some(budget.decide(ahead_micros)),
            Ok(Err(error)) => self.give_up(&shared, &format!("{:?}", error.kind())),
            Err(_elapsed) => self.give_up(&shared, "no answer in time"),
        }
    }

    /// Goes on in process until the job has connected again.
    fn give_up(&self, failed: &Arc<MultiplexedConnection>, reason: &str) -> Option<Decision> {
        self.fallbacks.inc();
        let found = self.connection.compare_and_swap(failed, None);
        if found
            .as_ref()
            .is_some_and(|found| Arc::ptr_eq(found, failed))
        {
            self.report_away(reason);
        }
        None
    }

    fn report_away(&self, reason: &str) {
        self.up.set(0);
        if !self.is_reported_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                reason,
                "Redis is away: each issuer limits for itself until it is back"
            );
        }
    }

    fn key(&self, class: Class, subject: Subject) -> String {
        let digest = self.digests.mac(&[
            b"limit:",
            class.name().as_bytes(),
            b"\n",
            &subject.to_bytes(),
        ]);
        format!("tollgate:limit:{}", base64url(&digest))
    }
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedTable")
    }
}

/// Answers how far ahead of now the budget would be whole again if this request went through, and
/// notes it if that is within the budget. A key lapses when its budget is whole; one that Redis'
/// clock, set back, has left in the future is cut to a whole period.
const DRAW: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local period = interval * tonumber(ARGV[2])
local whole_at = math.min(tonumber(redis.call('GET', KEYS[1]) or now), now + period)
local ahead = math.max(whole_at, now) + interval - now
if ahead <= period then
  redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000))
end
return ahead
";
/// A Redis beside us answers in less than a millisecond; a request that waits longer would do
/// better without it.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);
/// No request waits for it.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
