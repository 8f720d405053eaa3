//! One verifier: what it says to a token, and what it wants fetched before it can say more.
//!
//! 1. Whoever is told to wait looks again afterwards; nothing is decided elsewhere.
//! 2. Each errand is handed out once, to the caller who caused it.
//! 3. Revocations are asked about only for tokens that are otherwise good.

use alloc::string::String;
use core::ops::Range;

use shared_claims::limits::MAX_TOKEN_BYTES;
use shared_claims::{
    AccessClaims, KeySetError, Part, Policy, UnixMillis, UnixTime, UnverifiedToken, Verified,
    Verifier, VerifyError,
};

use crate::feed::Feed;
use crate::keys::Keys;

/// A verifier with its keys and revocations.
#[derive(Debug)]
pub(crate) struct Instance {
    verifier: Verifier,
    /// The keys of access tokens.
    pub(crate) keys: Keys,
    /// The revocations, if they are asked about.
    pub(crate) feed: Option<Feed>,
    /// The times between which the token accepted last is good.
    pub(crate) good: Range<UnixTime>,
    /// What verdicts rest on, as it was last seen, and a number for each time it was another.
    basis: Basis,
    standing: u32,
}

/// What verdicts rest on besides the time: keys, revocations, and that the arithmetic is sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Basis {
    keys: u32,
    revocations: Option<(u64, u64)>,
    alarms: u32,
}

/// What to do about a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Accept it. The claims are the JSON text that was signed.
    Accept(String),
    /// Refuse it.
    Refuse(VerifyError),
    /// Keys or revocations cannot be had at present.
    Unavailable {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// Look again when the errand for keys, which this caller was given, is done.
    AwaitKeys,
    /// Somebody else fetches keys: look again after so long.
    WaitForKeys {
        /// Milliseconds.
        again_after_ms: u32,
    },
    /// Look again when the poll, which this caller was given, is done or has taken so long.
    AwaitPoll {
        /// Milliseconds.
        wait_ms: u32,
    },
    /// Somebody else polls: look again after so long.
    WaitForPoll {
        /// Milliseconds.
        again_after_ms: u32,
    },
}

/// How long a caller has waited so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It cannot wait: what is held must do, and something must be held.
    None,
    /// It has waited so long.
    Waited {
        /// For keys, in milliseconds.
        for_keys_ms: u32,
        /// For revocations, in milliseconds.
        for_poll_ms: u32,
    },
}

impl Instance {
    /// A verifier whose keys have to be fetched and that knows of no revocations.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            verifier: Verifier::new(policy),
            keys: Keys::fetched(),
            feed: None,
            good: UnixTime::from_secs(0)..UnixTime::from_secs(0),
            basis: Basis::default(),
            standing: 1,
        }
    }

    /// Accepts tokens for one more audience.
    pub(crate) fn add_audience(&mut self, audience: &str) {
        let mut policy = self.verifier.policy().clone();
        policy.audience.push(audience.into());
        self.verifier = Verifier::new(policy);
    }

    /// Uses these keys and no others.
    pub(crate) fn use_key_set(&mut self, document: &[u8]) -> Result<(), KeySetError> {
        self.keys = Keys::given(document)?;
        Ok(())
    }

    /// Refuses what the issuer's feed calls revoked.
    pub(crate) fn use_revocations(&mut self) {
        self.feed = Some(Feed::new(&self.verifier.policy().issuer));
    }

    /// What to do about `token`.
    pub(crate) fn verify(&mut self, token: &[u8], now: UnixMillis, patience: Patience) -> Answer {
        let token = match self.verify_signed(token, now, patience) {
            Ok(token) => token,
            Err(answer) => return self.poll_meanwhile(answer, now),
        };
        if let Some(feed) = &mut self.feed {
            if let Some(wait) = feed.consult(now, patience) {
                return wait;
            }
            if let Err(error) = feed.check(&token) {
                return Answer::Refuse(error);
            }
        }
        self.good = self.verifier.lifetime_of(&token);
        Answer::Accept(token.payload().into())
    }

    /// 0 when tokens have to be judged in full, because something is missing or has to be
    /// fetched. Else a number that changes when what was accepted might be judged differently
    /// now, but for its times.
    pub(crate) fn standing(&mut self, now: UnixMillis) -> u32 {
        let revocations = match &self.feed {
            None => None,
            Some(feed) => match feed.current(now) {
                Some(held) => Some((held.epoch(), held.seq())),
                None => return 0,
            },
        };
        if !self.keys.are_fresh(now) {
            return 0;
        }
        let basis = Basis {
            keys: self.keys.generation(),
            revocations,
            alarms: self.n_alarms(),
        };
        if basis != self.basis {
            self.basis = basis;
            self.standing = self.standing.wrapping_add(1).max(1);
        }
        self.standing
    }

    /// How often the tables contradicted the library.
    pub(crate) fn n_alarms(&self) -> u32 {
        self.verifier.kernel().n_alarms
    }

    /// What to do until all is there that [`verify`](Self::verify) needs; then `Accept`.
    pub(crate) fn prepare(&mut self, now: UnixMillis, patience: Patience) -> Answer {
        if let Err(answer) = self.keys.prepare(now, patience.for_keys_ms()) {
            return self.poll_meanwhile(answer, now);
        }
        let all_there = Answer::Accept(String::new());
        self.feed
            .as_mut()
            .map_or(all_there, |feed| feed.prepare(now, patience))
    }

    /// Everything but revocation.
    fn verify_signed(
        &mut self,
        token: &[u8],
        now: UnixMillis,
        patience: Patience,
    ) -> Result<Verified<AccessClaims>, Answer> {
        let token = parse(token).map_err(Answer::Refuse)?;
        let keys = self.keys.find(token.kid(), now, patience.for_keys_ms())?;
        self.verifier
            .verify_parsed(None, token, keys, now.to_secs())
            .map_err(Answer::Refuse)
    }

    /// When keys have to be waited for, revocations are asked for at the same time.
    fn poll_meanwhile(&mut self, answer: Answer, now: UnixMillis) -> Answer {
        if matches!(answer, Answer::AwaitKeys | Answer::WaitForKeys { .. })
            && let Some(feed) = &mut self.feed
        {
            feed.poll_if_due(now);
        }
        answer
    }
}

impl Patience {
    pub(crate) fn for_keys_ms(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Waited { for_keys_ms, .. } => for_keys_ms,
        }
    }

    /// Whoever cannot wait is treated as if it had waited long enough.
    pub(crate) fn for_poll_ms(self) -> u32 {
        match self {
            Self::None => u32::MAX,
            Self::Waited { for_poll_ms, .. } => for_poll_ms,
        }
    }
}

/// Size comes before everything, as what is cut off at the size limit may be cut in a character.
fn parse(token: &[u8]) -> Result<UnverifiedToken<'_>, VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::TooLarge);
    }
    let token = str::from_utf8(token).map_err(|_| VerifyError::Malformed(Part::Segments))?;
    UnverifiedToken::parse(token)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use shared_claims::sign::SigningKey;
    use shared_claims::{KeySet, Report, UnixTime};

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_millis(1_795_000_000_000);
    const FIRST_LOOK: Patience = Patience::Waited {
        for_keys_ms: 0,
        for_poll_ms: 0,
    };
    const LAST_LOOK: Patience = Patience::Waited {
        for_keys_ms: 6_000,
        for_poll_ms: 500,
    };

    fn signing_key() -> SigningKey {
        SigningKey::from_seed(&[7; 32]).expect("it is not all zeros")
    }

    fn instance() -> Instance {
        let mut instance = Instance::new(Policy {
            audience: Vec::new(),
            ..Policy::new("https://id.example.com", "")
        });
        instance.add_audience("orders");
        instance
    }

    fn key_set() -> String {
        let keys = KeySet::from_public_keys([*signing_key().public_key()]);
        keys.expect("it is one key").to_json()
    }

    fn token() -> String {
        signing_key().sign_access_token(&AccessClaims {
            iss: "https://id.example.com".into(),
            sub: "user-1".into(),
            aud: Vec::from(["orders".into()]),
            exp: UnixTime::from_secs(1_795_000_900),
            nbf: None,
            iat: UnixTime::from_secs(1_795_000_000),
            jti: "token-1".into(),
            sid: "session-1".into(),
            email: None,
            email_verified: None,
            role: None,
            act: None,
        })
    }

    fn deliver_keys(instance: &mut Instance) {
        let ticket = instance.keys.take_wanted().expect("keys are wanted");
        let document = key_set();
        let report = Report::Fetched {
            document: document.as_bytes(),
            fetched_at: NOW,
            jitter: 0,
        };
        assert!(instance.keys.report(NOW, ticket, report));
    }

    #[test]
    fn verifier_without_audience_accepts_nothing() {
        let mut instance = Instance::new(Policy {
            audience: Vec::new(),
            ..Policy::new("https://id.example.com", "")
        });
        instance
            .use_key_set(key_set().as_bytes())
            .expect("it is good");
        let answer = instance.verify(token().as_bytes(), NOW, FIRST_LOOK);
        assert_eq!(answer, Answer::Refuse(VerifyError::WrongAudience));
    }

    #[test]
    fn errand_is_handed_out_once_and_others_wait() {
        let mut instance = instance();
        let look = |instance: &mut Instance| instance.verify(token().as_bytes(), NOW, FIRST_LOOK);
        assert_eq!(look(&mut instance), Answer::AwaitKeys);
        assert!(instance.keys.take_wanted().is_some());
        assert!(instance.keys.take_wanted().is_none());
        assert!(matches!(look(&mut instance), Answer::WaitForKeys { .. }));
        assert!(instance.keys.take_wanted().is_none());
    }

    #[test]
    fn keys_delivered_are_used() {
        let mut instance = instance();
        assert_eq!(instance.prepare(NOW, FIRST_LOOK), Answer::AwaitKeys);
        deliver_keys(&mut instance);
        assert_eq!(
            instance.prepare(NOW, FIRST_LOOK),
            Answer::Accept(String::new())
        );
        let answer = instance.verify(token().as_bytes(), NOW, FIRST_LOOK);
        assert!(matches!(answer, Answer::Accept(claims) if claims.contains("user-1")));
    }

    #[test]
    fn feed_is_asked_for_while_keys_are_awaited() {
        let mut instance = instance();
        instance.use_revocations();
        assert_eq!(instance.prepare(NOW, FIRST_LOOK), Answer::AwaitKeys);
        let feed = instance.feed.as_mut().expect("it is in use");
        assert!(feed.take_wanted().is_some());
        assert!(feed.keys().take_wanted().is_some());
    }

    #[test]
    fn token_that_would_be_refused_anyway_does_not_ask_for_the_feed() {
        let mut instance = instance();
        instance
            .use_key_set(key_set().as_bytes())
            .expect("it is good");
        instance.use_revocations();
        let late = UnixMillis::from_millis(1_795_001_000_000);
        let answer = instance.verify(token().as_bytes(), late, FIRST_LOOK);
        assert_eq!(answer, Answer::Refuse(VerifyError::Expired));
        assert!(instance.feed.as_mut().and_then(Feed::take_wanted).is_none());
    }

    #[test]
    fn without_any_revocations_only_who_has_waited_is_answered() {
        let mut instance = instance();
        instance
            .use_key_set(key_set().as_bytes())
            .expect("it is good");
        instance.use_revocations();
        let mut look = |patience| instance.verify(token().as_bytes(), NOW, patience);
        assert!(matches!(
            look(FIRST_LOOK),
            Answer::AwaitPoll { wait_ms: 500 }
        ));
        assert!(matches!(look(Patience::None), Answer::Unavailable { .. }));
        assert!(matches!(look(LAST_LOOK), Answer::Accept(_)));
        assert!(matches!(
            instance.prepare(NOW, LAST_LOOK),
            Answer::Unavailable { .. }
        ));
    }

    #[test]
    fn oversized_token_is_too_large_even_when_cut_in_a_character() {
        let mut bytes = Vec::from(*b"x").repeat(MAX_TOKEN_BYTES);
        assert_eq!(
            parse(&bytes).err(),
            Some(VerifyError::Malformed(Part::Segments))
        );
        bytes.push(0xc3);
        assert_eq!(parse(&bytes).err(), Some(VerifyError::TooLarge));
    }
}
