//! A verifier that fetches for itself, against an issuer on loopback.

mod edge;
mod issuer;
mod middleware;

use shared_claims::fetch::{FetchError, RemoteVerifier, SourceError, Sources};
use shared_claims::{CacheState, VerifyError};

use issuer::{Issuer, START_SECS};

fn refused(error: VerifyError) -> FetchError {
    FetchError::Refused(error)
}

#[tokio::test]
async fn token_is_verified_with_fetched_keys_and_the_next_one_without_a_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let claims = verifier.verify(&issuer.token("session-1")).await.unwrap();
    assert_eq!(claims.sub, "user-1");
    verifier.verify(&issuer.token("session-2")).await.unwrap();
    assert_eq!(issuer.count("/.well-known/jwks.json"), 1);
    assert_eq!(issuer.count("/.well-known/feed-jwks.json"), 1);
    assert_eq!(verifier.state().keys, CacheState::Fresh);
    assert_eq!(verifier.state().revocations_age_secs, Some(0));
}

#[tokio::test]
async fn key_that_has_signed_many_tokens_verifies_by_its_tables() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    for n in 0..40 {
        let token = issuer.token(&format!("session-{n}"));
        verifier.verify(&token).await.unwrap();
    }
    let kernel = verifier.state().kernel;
    assert!(kernel.is_on);
    assert!(kernel.n_by_tables > 0);
    assert_eq!(kernel.n_alarms, 0);
}

#[tokio::test]
async fn fifty_cold_requests_cause_one_fetch_of_each_document() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let (verifier, token) = (verifier.clone(), issuer.token(&format!("session-{n}")));
            tokio::spawn(async move { verifier.verify(&token).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(issuer.count("/.well-known/jwks.json"), 1);
    assert_eq!(issuer.count("/.well-known/feed-jwks.json"), 1);
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_before_anything_is_fetched() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let error = verifier.verify("a.b.c").await.err();
    assert_eq!(error.map(FetchError::code), Some("malformed"));
    let error = verifier.verify(&"x".repeat(9000)).await.err();
    assert_eq!(error, Some(refused(VerifyError::TooLarge)));
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn expired_token_and_token_of_another_audience_are_refused() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token_for("billing", "session-1");
    let error = verifier.verify(&token).await.err();
    assert_eq!(error, Some(refused(VerifyError::WrongAudience)));
    let token = issuer.token("session-1");
    issuer.set_clock(START_SECS + 900 + 30);
    let error = verifier.verify(&token).await.err();
    assert_eq!(error, Some(refused(VerifyError::Expired)));
}

#[tokio::test]
async fn revoked_session_is_refused_after_the_next_poll_and_others_are_not() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let (ended, other) = (issuer.token("ended"), issuer.token("other"));
    verifier.verify(&ended).await.unwrap();
    issuer.revoke("ended");
    // Old enough that the next call waits for the poll.
    issuer.set_clock(START_SECS + 31);
    let error = verifier.verify(&ended).await.err();
    assert_eq!(error, Some(refused(VerifyError::Revoked)));
    assert!(verifier.verify(&other).await.is_ok());
}

#[tokio::test]
async fn feed_that_another_key_has_signed_changes_nothing() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token("ended");
    verifier.verify(&token).await.unwrap();
    issuer.revoke("ended");
    issuer.sign_feed_with_another_key();
    issuer.set_clock(START_SECS + 31);
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(verifier.state().revocations_age_secs, Some(31));
}

#[tokio::test]
async fn without_an_issuer_there_are_no_keys_and_the_answer_says_when_to_try_again() {
    let issuer = Issuer::start().await;
    issuer.go_away(true);
    let verifier = issuer.verifier();
    let unavailable = Some(FetchError::Unavailable {
        retry_after_secs: 1,
    });
    assert_eq!(
        verifier.verify(&issuer.token("session-1")).await.err(),
        unavailable
    );
    assert_eq!(verifier.ready().await.err(), unavailable);
    issuer.go_away(false);
    issuer.set_clock(START_SECS + 5);
    assert_eq!(verifier.ready().await, Ok(()));
}

#[tokio::test]
async fn keys_are_used_for_an_hour_while_the_issuer_is_away_and_not_longer() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier_of_keys();
    verifier.ready().await.unwrap();
    issuer.go_away(true);
    issuer.set_clock(START_SECS + 3599);
    let token = issuer.token("session-1");
    assert!(verifier.verify(&token).await.is_ok());
    issuer.set_clock(START_SECS + 3600);
    let error = verifier.verify(&token).await.err();
    assert_eq!(error.map(FetchError::code), Some("keys_unavailable"));
}

#[tokio::test]
async fn redirect_is_not_followed_and_a_document_too_large_is_not_read() {
    let issuer = Issuer::start().await;
    issuer.redirect(true);
    let verifier = issuer.verifier_of_keys();
    assert!(verifier.ready().await.is_err());
    assert_eq!(issuer.requests(), 1);
    issuer.redirect(false);
    issuer.pad_keys(64 * 1024);
    issuer.set_clock(START_SECS + 60);
    assert!(verifier.ready().await.is_err());
    issuer.pad_keys(0);
    issuer.set_clock(START_SECS + 120);
    assert!(verifier.ready().await.is_ok());
}

#[test]
fn places_that_could_be_anybodys_are_refused() {
    for (url, error) in [
        ("http://id.example.com", SourceError::Insecure),
        ("http://127.0.0.1.example.com", SourceError::Insecure),
        ("http://localhost.example.com", SourceError::Insecure),
        ("ftp://id.example.com", SourceError::NotAUrl),
        ("https://user@id.example.com", SourceError::NotAUrl),
        ("https://:secret@id.example.com", SourceError::NotAUrl),
        ("id.example.com", SourceError::NotAUrl),
        ("", SourceError::NotAUrl),
    ] {
        assert_eq!(Sources::of_issuer(url), Err(error), "{url}");
    }
    for url in [
        "https://id.example.com/",
        "http://localhost:3001",
        "http://127.8.9.1",
        "http://[::1]:3001",
    ] {
        assert!(Sources::of_issuer(url).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn nothing_that_is_printed_shows_a_token() {
    let issuer = Issuer::start().await;
    let verifier: RemoteVerifier = issuer.verifier();
    let token = issuer.token("session-1");
    let error = verifier.verify(&token[1..]).await.unwrap_err();
    let printed = format!("{verifier:?} {error:?} {error}");
    assert!(!printed.contains(&token[1..20]), "{printed}");
}
