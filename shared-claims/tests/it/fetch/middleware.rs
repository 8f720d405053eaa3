//! The same rules in poem and in tower: what passes, what is refused and how that looks.

use std::convert::Infallible;

use poem::test::TestClient;
use poem::{EndpointExt, Route, get, handler};
use shared_claims::middleware::tower::GuardLayer;
use shared_claims::middleware::{CurrentUser, Guard};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::issuer::Issuer;

/// What both frameworks say to a request.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: u16,
    body: String,
    challenge: Option<String>,
    content_type: Option<String>,
}

#[handler]
fn who(user: Option<&CurrentUser>) -> String {
    name_of(user)
}

fn name_of(user: Option<&CurrentUser>) -> String {
    user.map_or_else(|| "nobody".into(), |user| user.sub.clone())
}

async fn by_poem(guard: Guard, authorization: &[&str]) -> Said {
    let client = TestClient::new(Route::new().at("/", get(who)).with(guard));
    let mut request = client.get("/");
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let response = request.send().await.0;
    let header = |name| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().expect("it is ASCII").to_owned())
    };
    Said {
        status: response.status().as_u16(),
        challenge: header("www-authenticate"),
        content_type: header("content-type"),
        body: response
            .into_body()
            .into_string()
            .await
            .expect("it is text"),
    }
}

async fn by_tower(guard: Guard, authorization: &[&str]) -> Said {
    let mut request = http::Request::new(());
    for value in authorization {
        request
            .headers_mut()
            .append("authorization", value.parse().expect("it is a value"));
    }
    let answer = |request: http::Request<()>| async move {
        let user = request.extensions().get::<CurrentUser>();
        let mut response = http::Response::new(name_of(user));
        let plain = "text/plain; charset=utf-8".parse().expect("it is a value");
        response.headers_mut().insert("content-type", plain);
        Ok::<_, Infallible>(response)
    };
    let mut service = ServiceBuilder::new()
        .layer(GuardLayer::new(guard))
        .service(service_fn(answer));
    service.ready().await.expect("it is always ready");
    let response = service.call(request).await.expect("it cannot fail");
    let header = |name| {
        let value = response.headers().get(name);
        value.map(|value: &http::HeaderValue| value.to_str().expect("it is ASCII").to_owned())
    };
    Said {
        status: response.status().as_u16(),
        challenge: header("www-authenticate"),
        content_type: header("content-type"),
        body: response.into_body(),
    }
}

/// What both say, who must agree.
async fn said(guard: &Guard, authorization: &[&str]) -> Said {
    let said = by_poem(guard.clone(), authorization).await;
    assert_eq!(said, by_tower(guard.clone(), authorization).await);
    said
}

#[tokio::test]
async fn good_token_passes_and_the_handler_knows_the_user() {
    let issuer = Issuer::start().await;
    let guard = Guard::new(issuer.verifier());
    let bearer = format!("Bearer {}", issuer.token("session-1"));
    let answer = said(&guard, &[&bearer]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "user-1"));
}

#[tokio::test]
async fn refusals_are_problem_documents_with_a_challenge() {
    let issuer = Issuer::start().await;
    let guard = Guard::new(issuer.verifier());
    let invalid = r#"Bearer realm="tollgate", error="invalid_token""#;
    for (headers, status, code, challenge) in [
        (
            &[][..],
            401,
            "missing_token",
            Some(r#"Bearer realm="tollgate""#),
        ),
        (
            &["Basic YTpi"],
            401,
            "missing_token",
            Some(r#"Bearer realm="tollgate""#),
        ),
        (&["Bearer a.b.c"], 401, "malformed", Some(invalid)),
        (&["Bearer \u{e9}"], 401, "malformed", Some(invalid)),
        (&["Bearer a", "Bearer a"], 400, "multiple_tokens", None),
    ] {
        let answer = said(&guard, headers).await;
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:tollgate:problem:{code}"));
        assert_eq!(answer.status, status);
        assert_eq!(answer.challenge.as_deref(), challenge);
        let content_type = answer.content_type.as_deref();
        assert_eq!(content_type, Some("application/problem+json"));
    }
}

#[tokio::test]
async fn only_listed_roles_pass() {
    let issuer = Issuer::start().await;
    let guard = Guard::new(issuer.verifier()).roles(["admin", "support"]);
    let bearer = |role| {
        format!(
            "Bearer {}",
            issuer.token_of_role(role, "orders", "session-1")
        )
    };
    assert_eq!(said(&guard, &[&bearer("support")]).await.status, 200);
    let answer = said(&guard, &[&bearer("user")]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains(r#""code":"insufficient_scope""#));
}

#[tokio::test]
async fn optional_guard_lets_nobody_pass_but_no_bad_token() {
    let issuer = Issuer::start().await;
    let guard = Guard::new(issuer.verifier()).optional();
    assert_eq!(said(&guard, &[]).await.body, "nobody");
    let bearer = format!("Bearer {}", issuer.token("session-1"));
    assert_eq!(said(&guard, &[&bearer]).await.body, "user-1");
    assert_eq!(said(&guard, &["Bearer a.b.c"]).await.status, 401);
}

#[tokio::test]
async fn without_keys_the_answer_is_503_and_says_when_to_try_again() {
    let issuer = Issuer::start().await;
    issuer.go_away(true);
    let guard = Guard::new(issuer.verifier());
    let bearer = format!("Bearer {}", issuer.token("session-1"));
    let client = TestClient::new(Route::new().at("/", get(who)).with(guard));
    let request = client.get("/").header("authorization", bearer);
    let response = request.send().await;
    response.assert_status(poem::http::StatusCode::SERVICE_UNAVAILABLE);
    response.assert_header("retry-after", "1");
}

#[tokio::test]
async fn handler_that_wants_a_user_is_not_run_without_a_guard() {
    #[handler]
    fn wants(user: &CurrentUser) -> String {
        user.sub.clone()
    }
    let client = TestClient::new(Route::new().at("/", get(wants)));
    let response = client.get("/").send().await;
    response.assert_status(poem::http::StatusCode::UNAUTHORIZED);
}
