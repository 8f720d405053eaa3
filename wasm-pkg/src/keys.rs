//! Keys of one purpose: given once and for all, or fetched when the cache asks for it.

use alloc::string::String;

use shared_claims::{
    CacheState, KeyCache, KeyCacheTtl, KeySet, KeySetError, Kid, Lookup, Outcome, Report, Ticket,
    UnixMillis, VerifyError, thumbprint,
};

use crate::instance::Answer;

/// Keys of one purpose.
#[derive(Debug)]
pub(crate) struct Keys {
    source: Source,
    wanted: Option<Ticket>,
    /// How often keys were taken in.
    generation: u32,
}

#[derive(Debug)]
enum Source {
    Given(KeySet),
    Cache(KeyCache),
}

impl Keys {
    /// Keys that have to be fetched.
    pub(crate) fn fetched() -> Self {
        Self {
            source: Source::Cache(KeyCache::new(KeyCacheTtl::default())),
            wanted: None,
            generation: 0,
        }
    }

    /// These keys and no others.
    pub(crate) fn given(document: &[u8]) -> Result<Self, KeySetError> {
        Ok(Self {
            source: Source::Given(KeySet::from_json(document)?),
            wanted: None,
            generation: 0,
        })
    }

    /// The keys to verify with what names `kid`, or what to do first.
    pub(crate) fn find(
        &mut self,
        kid: &Kid,
        now: UnixMillis,
        waited_ms: u32,
    ) -> Result<&KeySet, Answer> {
        let cache = match &mut self.source {
            Source::Given(keys) => return Ok(keys),
            Source::Cache(cache) => cache,
        };
        match cache.lookup(now, kid, waited_ms) {
            Lookup::Use(keys) => Ok(keys),
            Lookup::UseAndRefresh(keys, ticket) => {
                self.wanted = Some(ticket);
                Ok(keys)
            }
            Lookup::Load(ticket) | Lookup::ForcedRefetch(ticket) => {
                self.wanted = Some(ticket);
                Err(Answer::AwaitKeys)
            }
            Lookup::Wait { again_after_ms } => Err(Answer::WaitForKeys { again_after_ms }),
            Lookup::UnknownKey => Err(Answer::Refuse(VerifyError::UnknownKey)),
            Lookup::Unavailable { retry_after_secs } => {
                Err(Answer::Unavailable { retry_after_secs })
            }
        }
    }

    /// Wants keys if there are none; the error is then what to do first.
    pub(crate) fn prepare(&mut self, now: UnixMillis, waited_ms: u32) -> Result<(), Answer> {
        if self.usable(now).is_some() {
            return Ok(());
        }
        // While there are no keys every id is answered alike.
        self.find(&thumbprint(&[0; 32]), now, waited_ms).map(drop)
    }

    /// The errand to fetch, unless somebody has taken it.
    pub(crate) fn take_wanted(&mut self) -> Option<Ticket> {
        self.wanted.take()
    }

    /// Takes in what came of fetching. `false` when the document was refused.
    pub(crate) fn report(&mut self, now: UnixMillis, ticket: Ticket, report: Report<'_>) -> bool {
        match &mut self.source {
            Source::Given(_) => false,
            Source::Cache(cache) => {
                self.generation = self.generation.wrapping_add(1);
                !matches!(cache.report(now, ticket, report), Outcome::Rejected(_))
            }
        }
    }

    /// Takes in keys that came from the issuer earlier or elsewhere, if they are news.
    pub(crate) fn import(
        &mut self,
        now: UnixMillis,
        document: &[u8],
        fetched_at: UnixMillis,
    ) -> Result<(), KeySetError> {
        KeySet::from_json(document)?;
        if let Source::Cache(cache) = &mut self.source {
            self.generation = self.generation.wrapping_add(1);
            cache.import(now, document, fetched_at);
        }
        Ok(())
    }

    /// The fetched keys as a document, and when they came from the issuer.
    pub(crate) fn export(&self) -> Option<(String, UnixMillis)> {
        match &self.source {
            Source::Given(_) => None,
            Source::Cache(cache) => cache.export(),
        }
    }

    /// The keys that may be used.
    pub(crate) fn usable(&self, now: UnixMillis) -> Option<&KeySet> {
        match &self.source {
            Source::Given(keys) => Some(keys),
            Source::Cache(cache) => cache.usable(now),
        }
    }

    /// A number that changes when the keys might have changed.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether the keys may be used and nothing has to be done about them.
    pub(crate) fn are_fresh(&self, now: UnixMillis) -> bool {
        match &self.source {
            Source::Given(_) => true,
            Source::Cache(cache) => cache.state(now) == CacheState::Fresh,
        }
    }

    /// How the keys are, in a word, and their age in seconds if they were fetched.
    pub(crate) fn state(&self, now: UnixMillis) -> (&'static str, Option<u64>) {
        let Source::Cache(cache) = &self.source else {
            return ("given", None);
        };
        let name = match cache.state(now) {
            CacheState::Empty => "empty",
            CacheState::Fresh => "fresh",
            CacheState::SoftStale => "soft_stale",
            CacheState::Degraded => "degraded",
            CacheState::HardStale => "hard_stale",
        };
        (name, cache.age_secs(now))
    }
}
