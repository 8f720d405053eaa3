//! Assertions verified with fetched keys.

use shared_claims::fetch::{EdgeVerifier, FetchError, SourceError};
use shared_claims::{ClaimName, Received, VerifyError};

use super::issuer::{EDGE_KEYS, Issuer, START_SECS};

const ORDERS: Received<'_> = Received {
    method: "GET",
    target: "/orders",
};

#[tokio::test]
async fn request_from_the_gateway_passes_and_its_keys_are_fetched_once() {
    let edge = Issuer::start().await;
    let verifier = edge.edge_verifier();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (verifier, jws) = (verifier.clone(), edge.assertion(4, "/orders"));
            tokio::spawn(async move { verifier.verify(&jws, ORDERS).await })
        })
        .collect();
    for task in tasks {
        let assertion = task.await.unwrap().unwrap();
        assert_eq!(assertion.sub.as_deref(), Some("user-1"));
    }
    assert_eq!(edge.count(EDGE_KEYS), 1);
}

#[tokio::test]
async fn whoever_comes_around_the_gateway_is_refused() {
    let edge = Issuer::start().await;
    let verifier = edge.edge_verifier();
    let refused = FetchError::Refused;
    for (jws, error) in [
        (
            String::new(),
            VerifyError::Malformed(shared_claims::Part::Segments),
        ),
        (edge.token("session-1"), VerifyError::UnsupportedType),
        (
            edge.assertion(4, "/orders?all"),
            VerifyError::InvalidClaim(ClaimName::Htu),
        ),
        (edge.assertion(5, "/orders"), VerifyError::UnknownKey),
    ] {
        let outcome = verifier.verify(&jws, ORDERS).await.err();
        assert_eq!(outcome, Some(refused(error)));
    }
    let old = edge.assertion(4, "/orders");
    edge.set_clock(START_SECS + 90);
    let outcome = verifier.verify(&old, ORDERS).await.err();
    assert_eq!(outcome, Some(refused(VerifyError::Expired)));
}

#[tokio::test]
async fn without_keys_nobody_passes_and_the_answer_says_when_to_try_again() {
    let edge = Issuer::start().await;
    edge.go_away(true);
    let verifier = edge.edge_verifier();
    let outcome = verifier.verify(&edge.assertion(4, "/orders"), ORDERS).await;
    let Err(FetchError::Unavailable { retry_after_secs }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(retry_after_secs >= 1);
}

#[test]
fn keys_are_fetched_from_a_place_that_is_safe_only() {
    let made = |url| EdgeVerifier::new("tollgate-edge", "orders", url).map(|_| ());
    assert_eq!(made("http://edge.example.com/"), Err(SourceError::Insecure));
    assert_eq!(made("edge.example.com"), Err(SourceError::NotAUrl));
}
