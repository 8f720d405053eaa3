//! Verifies the same tokens by shared-claims and by jsonwebtoken, in turns, and prints the ratio
//! of each round in thousandths. `verify-native aws-lc` or `verify-native rust-crypto` names the
//! peer's back end: a process can have only one.

use std::error::Error;
use std::hint::black_box;
use std::time::{Instant, UNIX_EPOCH};

use jsonwebtoken::crypto::{aws_lc, rust_crypto};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use shared_claims::sign::SigningKey;
use shared_claims::{AccessClaims, KeySet, Policy, UnixTime, Verifier};

/// What ours makes of a token too.
#[derive(Deserialize)]
#[expect(dead_code, reason = "reading them is the work")]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    sid: String,
    email: Option<String>,
    email_verified: Option<bool>,
    role: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let provider = match std::env::args().nth(1).as_deref() {
        Some("aws-lc") => &aws_lc::DEFAULT_PROVIDER,
        Some("rust-crypto") => &rust_crypto::DEFAULT_PROVIDER,
        _ => return Err("usage: verify-native aws-lc | rust-crypto".into()),
    };
    provider
        .install_default()
        .map_err(|_| "a back end is installed")?;
    let now = UNIX_EPOCH.elapsed()?.as_secs();
    let key = SigningKey::from_seed(&[7; 32]).ok_or("the seed is zero")?;
    let tokens: Vec<String> = (0..N_TOKENS)
        .map(|i| key.sign_access_token(&claims(i, now)))
        .collect();
    let ours = ours(&key, now)?;
    let theirs = theirs(&key);
    for _ in 0..3 {
        timed(&tokens, &ours)?;
    }
    timed(&tokens, &theirs)?;
    for _ in 0..ROUNDS {
        let mine = timed(&tokens, &ours)?;
        let other = timed(&tokens, &theirs)?;
        println!("{}", other * 1000 / mine.max(1));
    }
    Ok(())
}

/// Nanoseconds for all tokens, each of which must be accepted.
fn timed(tokens: &[String], verify: &dyn Fn(&str) -> bool) -> Result<u128, Box<dyn Error>> {
    let began = Instant::now();
    let n_accepted = tokens
        .iter()
        .filter(|token| verify(black_box(token)))
        .count();
    let took = began.elapsed().as_nanos();
    if n_accepted == tokens.len() {
        Ok(took)
    } else {
        Err(format!("{n_accepted} of {} tokens were accepted", tokens.len()).into())
    }
}

fn ours(key: &SigningKey, now: u64) -> Result<impl Fn(&str) -> bool + use<>, Box<dyn Error>> {
    let keys = KeySet::from_public_keys([*key.public_key()]).map_err(|_| "the key is good")?;
    let verifier = Verifier::new(Policy::new(ISSUER, AUDIENCE));
    let now = UnixTime::from_secs(now);
    Ok(move |token: &str| black_box(verifier.verify(token, &keys, now)).is_ok())
}

fn theirs(key: &SigningKey) -> impl Fn(&str) -> bool + use<> {
    let key = DecodingKey::from_ed_der(key.public_key());
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.validate_nbf = true;
    rules.leeway = 30;
    move |token: &str| black_box(decode::<Claims>(token, &key, &rules)).is_ok()
}

fn claims(i: usize, now: u64) -> AccessClaims {
    AccessClaims {
        iss: ISSUER.into(),
        sub: format!("user-{i:016}"),
        aud: vec![AUDIENCE.into()],
        exp: UnixTime::from_secs(now + 900),
        nbf: None,
        iat: UnixTime::from_secs(now),
        jti: format!("token-{i:015}"),
        sid: format!("session-{i:013}"),
        email: Some(format!("somebody.{i}@example.com")),
        email_verified: Some(true),
        role: Some("user".into()),
        act: None,
    }
}

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "orders";
const N_TOKENS: usize = 4096;
const ROUNDS: usize = 11;
