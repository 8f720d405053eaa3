//! Strict verification of Tollgate access tokens, the same verdict everywhere.
//!
//! The issuer, the Worker at the edge, the npm package and Rust backends all decide by this
//! crate. It has no clock, no network and no randomness: the caller hands in what it knows
//! and gets an answer that depends on nothing else.
//!
//! It is not a general JWT library: one algorithm (Ed25519), one kind of token (RFC 9068
//! with a session), one issuer for each verifier, nothing optional that a caller could forget.
//!
//! # Verifying
//!
//! ```
//! use shared_claims::{KeySet, Policy, Revocations, UnixTime, VerifyError, Verifier};
//!
//! fn user_of(
//!     token: &str,
//!     verifier: &Verifier, // Verifier::new(Policy::new("https://id.example.com", "orders"))
//!     keys: &KeySet, // KeySet::from_json(b"what /.well-known/jwks.json says")
//!     revocations: &Revocations, // Revocations::from_jws("what /.well-known/revocations says", …)
//!     now: UnixTime,
//! ) -> Result<String, VerifyError> {
//!     let token = verifier.verify(token, keys, now)?;
//!     revocations.check(&token)?;
//!     Ok(token.into_inner().sub)
//! }
//! ```
//!
//! A host that must decide what to fetch first parses with [`UnverifiedToken`], asks
//! [`KeyCache::lookup`] and [`FeedCache::consult`], and does what they say:
//!
//! ```
//! use shared_claims::{KeyCache, KeyCacheTtl, Lookup, Outcome, Report, UnixMillis};
//! use shared_claims::sign::SigningKey;
//!
//! let issuer = SigningKey::from_seed(&[1; 32]).expect("the seed is not zero");
//! let now = UnixMillis::from_millis(1_795_000_000_000);
//! let mut cache = KeyCache::new(KeyCacheTtl::default());
//! let Lookup::Load(ticket) = cache.lookup(now, issuer.kid(), 0) else {
//!     panic!("a new cache has nothing to use");
//! };
//! let keys = shared_claims::KeySet::from_public_keys([*issuer.public_key()])?;
//! let document = keys.to_json(); // what the issuer answers
//! let report = Report::Fetched { document: document.as_bytes(), fetched_at: now, jitter: 7 };
//! assert_eq!(cache.report(now, ticket, report), Outcome::Done);
//! assert!(matches!(cache.lookup(now, issuer.kid(), 0), Lookup::Use(_)));
//! # Ok::<(), shared_claims::KeySetError>(())
//! ```
//!
//! # Rules
//!
//! The first rule that fails names the refusal, in the order of the variants of
//! [`VerifyError`]; [`VerifyError::code`] is stable. Every bound stands in [`limits`] with its
//! reason. Input never panics. `tests/vectors` holds the verdict on hundreds of tokens, key
//! sets and signatures as plain data, for this and any other implementation.
//!
//! # Limitations
//!
//! - A token is a bearer token: whoever has it can use it. Nothing binds it to a client.
//! - The text of a token is not an identity. Two texts can carry the same claims; count,
//!   cache and revoke by `jti`, `sid` and `sub`.
//! - [`Verified`] tells what held when it was made. Keep asking [`Verifier::recheck`] and
//!   [`Revocations::check`] for as long as it is used.
//! - Verification takes time that depends on the token. Everything it looks at is public.
//!   Comparing secrets is not this crate's business.
//! - The key caches trust who hands them a document. A copy from a place others can write to
//!   needs a check of its own before [`Report::Copy`].
//! - A clock that is set back by more than 30 s makes the caches fetch anew; one that is
//!   simply wrong makes tokens live longer or shorter, as in every verifier.
//! - Revocation entries are found by the first 64 bits of a hash: a token that was not
//!   revoked is refused by chance about once in 10¹⁵.
//! - Strictness has a price: tokens of other issuers that have no `sid`, no `jti`, another
//!   `typ` or members of one name twice are refused, however well they are signed.
//!
//! # Backends
//!
//! The feature `fetch` brings [`fetch::RemoteVerifier`], which has a clock, a network and a
//! runtime; `poem` and `tower` bring middleware over it. Without them there is none of that.
#![no_std]

extern crate alloc;
#[cfg(feature = "fetch")]
extern crate std;

mod algorithm;
mod assertion;
mod backoff;
mod base64url;
mod claims;
mod error;
mod feed_cache;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod json;
mod jws;
mod kernel;
mod key_cache;
mod key_set;
mod kid;
pub mod limits;
#[cfg(any(feature = "poem", feature = "tower"))]
pub mod middleware;
mod policy;
#[cfg(any(test, feature = "fuzz"))]
#[path = "../tests/it/random.rs"]
mod random;
mod receipt;
mod revocations;
#[cfg(feature = "sign")]
pub mod sign;
mod time;
mod verifier;

pub use algorithm::verify_signature;
pub use assertion::{EdgeAssertion, Received, UnverifiedAssertion};
pub use claims::{AccessClaims, Verified};
pub use error::{ClaimName, KeySetError, Part, RevocationError, VerifyError};
pub use feed_cache::{Consult, FeedCache, FeedReport, Poll, Recency};
pub use jws::UnverifiedToken;
#[cfg(all(feature = "planted-faults", not(test)))]
pub use kernel::plant_fault;
pub use kernel::{KernelReport, SignatureTables};
pub use key_cache::{CacheState, KeyCache, KeyCacheTtl, Lookup, Outcome, Report, Ticket};
pub use key_set::{KeySet, VerifyingKey};
pub use kid::{Kid, thumbprint};
pub use policy::{Leeway, Policy};
pub use receipt::Receipt;
pub use revocations::{Prefix, RevocationDocument, Revocations, hash_prefix};
pub use time::{UnixMillis, UnixTime};
pub use verifier::Verifier;
