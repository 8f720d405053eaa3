use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::{Actor, Answer, TestApp};

const PATH: &str = "/api/v1/settings";

async fn patch(actor: &Actor<'_>, path: &str, body: &Value, if_match: Option<&str>) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(if_match.map(|tag| ("if-match", tag)));
    let path = format!("{PATH}{path}");
    actor
        .call(Method::PATCH, &path, &headers, Some(body.to_string()))
        .await
}

#[tokio::test]
async fn settings_are_empty_before_the_first_change() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let answer = ada.get(PATH).await.expect(200);
    assert_eq!(answer.body, json!({"global": {}, "apps": {}, "version": 0}));
    assert_eq!(answer.header("etag"), "\"0\"");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn members_are_merged_one_by_one_and_null_removes_one() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let first = json!({"theme": "dark", "nav": {"open": true, "width": 3}, "locale": "de"});
    let answer = patch(&ada, "/global", &first, None).await.expect(200);
    assert_eq!(answer.body["global"], first);
    assert_eq!(answer.header("etag"), "\"1\"");
    let second = json!({"theme": null, "nav": {"open": false}, "absent": null});
    let answer = patch(&ada, "/global", &second, None).await.expect(200);
    let expected = json!({"nav": {"open": false}, "locale": "de"});
    assert_eq!(answer.body["global"], expected);
    assert_eq!(ada.get(PATH).await.expect(200).body, answer.body);
}

#[tokio::test]
async fn apps_have_settings_of_their_own_until_they_are_removed() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    patch(&ada, "/global", &json!({"theme": "dark"}), None)
        .await
        .expect(200);
    patch(
        &ada,
        "/app/shop",
        &json!({"theme": "light", "size": 1.5}),
        None,
    )
    .await
    .expect(200);
    let answer = patch(&ada, "/app/news", &json!({"theme": "blue"}), None)
        .await
        .expect(200);
    assert_eq!(
        answer.body,
        json!({
            "global": {"theme": "dark"},
            "apps": {"news": {"theme": "blue"}, "shop": {"theme": "light", "size": 1.5}},
            "version": 3,
        })
    );
    let answer = ada.delete(&format!("{PATH}/app/shop")).await.expect(200);
    assert_eq!(answer.body["apps"], json!({"news": {"theme": "blue"}}));
    let answer = patch(&ada, "/app/news", &json!({"theme": null}), None)
        .await
        .expect(200);
    assert_eq!(
        answer.body["apps"],
        json!({}),
        "an app without settings is not there"
    );
    let answer = ada.delete(&format!("{PATH}/app/shop")).await.expect(200);
    assert_eq!(
        answer.body["version"], 5,
        "removing what is not there changes nothing"
    );
}

#[tokio::test]
async fn a_patch_that_changes_nothing_leaves_the_version() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for body in [
        json!({"a": 1}),
        json!({"a": 1}),
        json!({}),
        json!({"b": null}),
    ] {
        let answer = patch(&ada, "/global", &body, None).await.expect(200);
        assert_eq!(answer.body["version"], 1, "{body}");
    }
}

#[tokio::test]
async fn a_change_is_made_only_to_the_version_it_was_made_for() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let body = json!({"a": 1});
    patch(&ada, "/global", &body, Some("\"0\""))
        .await
        .expect(200);
    for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1", "nonsense"] {
        let answer = patch(&ada, "/global", &json!({"a": 2}), Some(stale)).await;
        answer.expect_problem(412, "precondition_failed");
        let removed = ada
            .call(
                Method::DELETE,
                &format!("{PATH}/app/x"),
                &[("if-match", stale)],
                None,
            )
            .await;
        removed.expect_problem(412, "precondition_failed");
    }
    assert_eq!(ada.get(PATH).await.expect(200).body["global"], body);
    patch(&ada, "/app/x", &json!({"b": 1}), Some("\"7\", \"1\""))
        .await
        .expect(200);
    patch(&ada, "/app/x", &json!({"b": 2}), Some("*"))
        .await
        .expect(200);
}

#[tokio::test]
async fn two_devices_that_change_different_members_keep_both() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (one, two) = (json!({"one": 1}), json!({"two": 2}));
    let (a, b) = tokio::join!(
        patch(&ada, "/global", &one, None),
        patch(&ada, "/global", &two, None)
    );
    a.expect(200);
    b.expect(200);
    let settings = ada.get(PATH).await.expect(200).body;
    assert_eq!(settings["global"], json!({"one": 1, "two": 2}));
    assert_eq!(settings["version"], 2);
}

#[tokio::test]
async fn of_two_changes_to_one_version_only_one_is_made() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (one, two) = (json!({"a": 1}), json!({"a": 2}));
    let (a, b) = tokio::join!(
        patch(&ada, "/global", &one, Some("\"0\"")),
        patch(&ada, "/global", &two, Some("\"0\""))
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn all_settings_together_are_at_most_sixteen_kibibytes() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    // {"a": "…"} and {} are 9 and 2 bytes beside the text.
    let fits = json!({"a": "x".repeat(16_384 - 9 - 2)});
    patch(&ada, "/global", &fits, None).await.expect(200);
    patch(&ada, "/app/shop", &json!({"b": 1}), None)
        .await
        .expect_invalid(&[""]);
    let longer = json!({"a": "x".repeat(16_384 - 9 - 2 + 1)});
    patch(&ada, "/global", &longer, None)
        .await
        .expect_invalid(&[""]);
    assert_eq!(ada.get(PATH).await.expect(200).body["global"], fits);
    patch(&ada, "/global", &json!({"a": null}), None)
        .await
        .expect(200);
    patch(&ada, "/app/shop", &json!({"b": 1}), None)
        .await
        .expect(200);
}

#[tokio::test]
async fn input_of_another_form_is_refused() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for body in [json!([]), json!("a"), json!(1), json!(null)] {
        patch(&ada, "/global", &body, None)
            .await
            .expect_invalid(&[""]);
    }
    let deep = json!({"a": [[[[[[[[1]]]]]]]]});
    patch(&ada, "/global", &deep, None)
        .await
        .expect_invalid(&[""]);
    patch(&ada, "/global", &json!({"a": "\u{0}"}), None)
        .await
        .expect_invalid(&["a"]);
    for id in ["-shop", "a%20b", "%C3%A4", &"a".repeat(65)] {
        let answer = patch(&ada, &format!("/app/{id}"), &json!({}), None).await;
        answer.expect_invalid(&["app_id"]);
        let answer = ada.delete(&format!("{PATH}/app/{id}")).await;
        answer.expect_invalid(&["app_id"]);
    }
    assert_eq!(ada.get(PATH).await.expect(200).body["version"], 0);
}

#[tokio::test]
async fn nobody_reads_or_changes_settings_of_others() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    patch(&ada, "/global", &json!({"mine": true}), None)
        .await
        .expect(200);
    assert_eq!(bob.get(PATH).await.expect(200).body["global"], json!({}));
    patch(&bob, "/global", &json!({"his": true}), None)
        .await
        .expect(200);
    assert_eq!(
        ada.get(PATH).await.expect(200).body["global"],
        json!({"mine": true})
    );
    let anon = app.anon();
    anon.get(PATH).await.expect_problem(401, "missing_token");
    patch(&anon, "/global", &json!({}), None)
        .await
        .expect_problem(401, "missing_token");
    anon.delete(&format!("{PATH}/app/x"))
        .await
        .expect_problem(401, "missing_token");
}

#[tokio::test]
async fn a_session_that_ended_at_another_issuer_reads_and_changes_nothing() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    // The second issuer has not read the feed yet: only the database knows.
    let there = ada.at(&second);
    there.get(PATH).await.expect_problem(401, "session_revoked");
    patch(&there, "/global", &json!({"a": 1}), None)
        .await
        .expect_problem(401, "session_revoked");
    let n: i64 = app
        .db
        .value("select count(*) from auth.user_settings")
        .await;
    assert_eq!(n, 0);
}

#[tokio::test]
async fn settings_need_no_recent_sign_in() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::minutes(11)).await;
    patch(&ada, "/global", &json!({"a": 1}), None)
        .await
        .expect(200);
}
