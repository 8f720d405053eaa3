//! Everything a request may need, made once at the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared_claims::{Policy, Verifier};

use crate::accounts::PasswordHasher;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::credits::{Batcher, GiftCodes};
use crate::db::Db;
use crate::http::rate_limit::{Class, RateLimiter, SharedTable, UsedUp};
use crate::ids::Entropy;
use crate::jobs::JobHealth;
use crate::mail::{MailLinks, Mailer};
use crate::metrics::Metrics;
use crate::outgoing::{OutgoingClient, Reach};
use crate::purchases::StripeClient;
use crate::revocations::Feed;
use crate::second_factor::ChallengeTokens;
use crate::second_factor::passkeys::RelyingParty;
use crate::secret::{DerivedKey, Purpose};
use crate::sessions::RefreshTokens;
use crate::signing_keys::{KeyRing, MasterKeys};

/// The running issuer: configuration, database, clock, randomness, keys.
#[derive(Debug)]
pub struct App {
    /// What the operator set.
    pub config: Config,
    /// The pool.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The master key and, during a change, the one before.
    pub master_keys: MasterKeys,
    /// Signing and published keys, in memory.
    pub keys: KeyRing,
    /// Checks access tokens.
    pub verifier: Verifier,
    /// Makes and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Makes and reads tokens of challenges.
    pub challenges: ChallengeTokens,
    /// Asks authenticators; none when `BASE_URL` is an address.
    pub passkeys: Option<RelyingParty>,
    /// The revocation feed, in memory.
    pub feed: Feed,
    /// Argon2id on a bounded pool.
    pub hasher: PasswordHasher,
    /// Budgets of callers.
    pub limiter: RateLimiter,
    /// How mail leaves.
    pub mailer: Mailer,
    /// Makes and checks links and codes in mail.
    pub mail_links: MailLinks,
    /// Calls addresses that users gave.
    pub outgoing: OutgoingClient,
    /// Sends charges to the ledger.
    pub charges: Batcher,
    /// Makes the codes of gifts.
    pub gift_codes: GiftCodes,
    /// Opens checkouts; none when purchases are not set up.
    pub stripe: Option<StripeClient>,
    /// Counters.
    pub metrics: Metrics,
    /// What the background jobs have come to.
    pub job_health: JobHealth,
    /// Names addresses without storing them.
    pub digests: DerivedKey,
    is_stopping: AtomicBool,
}

impl App {
    /// Puts the parts together; nothing is read from the database yet.
    pub fn new(
        config: Config,
        db: Db,
        clock: Clock,
        entropy: Entropy,
        master_keys: MasterKeys,
    ) -> Arc<Self> {
        let policy = Policy::new(
            config.tokens.issuer.as_str(),
            config.tokens.audience.as_str(),
        );
        let digests = master_keys.current().derive(Purpose::AddressDigests);
        let hasher = PasswordHasher::start();
        let metrics = Metrics::new(db.metrics().clone(), hasher.metrics().clone(), clock.now());
        let redis = config.redis.as_ref();
        let shared = redis.map(|redis| SharedTable::new(redis, digests.clone(), &metrics));
        Arc::new(Self {
            limiter: RateLimiter::new(config.limits.scale_thousandths, shared),
            metrics,
            job_health: JobHealth::default(),
            hasher,
            keys: KeyRing::default(),
            feed: Feed::default(),
            verifier: Verifier::new(policy),
            refresh_tokens: RefreshTokens::new(master_keys.derive_all(Purpose::RefreshTokens)),
            mailer: Mailer::new(&config),
            stripe: config.stripe.as_ref().map(StripeClient::new),
            mail_links: MailLinks::new(master_keys.derive_all(Purpose::MailLinks)),
            gift_codes: GiftCodes::new(master_keys.derive_all(Purpose::GiftCodes)),
            challenges: ChallengeTokens::new(master_keys.derive_all(Purpose::LoginChallenges)),
            passkeys: config.passkeys.as_ref().and_then(RelyingParty::new),
            outgoing: OutgoingClient::new(Reach::of(config.mode)),
            charges: Batcher::new(db.clone(), config.credits),
            config,
            db,
            clock,
            entropy,
            master_keys,
            digests,
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Whether budgets are off: in development everybody is on this machine.
    pub fn is_unlimited(&self) -> bool {
        self.config.mode == Mode::Development
    }

    /// From now on this issuer says that it is not ready: it has been told to stop.
    pub fn begin_to_stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Draws on the budget of an account, named by a digest whether or not it exists.
    ///
    /// # Errors
    /// [`UsedUp`], except in development.
    pub async fn draw_for_account(&self, class: Class, digest: [u8; 32]) -> Result<(), UsedUp> {
        if self.is_unlimited() {
            return Ok(());
        }
        let now = self.clock.now();
        let decision = self.limiter.draw_for_account(class, digest, now).await;
        match decision.allowed {
            true => Ok(()),
            false => Err(UsedUp {
                retry_after_secs: decision.reset_secs,
            }),
        }
    }

    /// A digest that names an e-mail address without holding it.
    pub fn address_digest(&self, email: &str) -> [u8; 32] {
        self.digests.mac(&[b"email:", email.as_bytes()])
    }
}
