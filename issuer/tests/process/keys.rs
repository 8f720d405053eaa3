use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Issuer, data_dir, run, stderr};

fn kids(jwks: &str) -> Vec<String> {
    let jwks: Value = serde_json::from_str(jwks).expect("JSON");
    let keys = jwks["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

#[tokio::test]
async fn keys_are_listed_rotated_and_revoked_beside_a_running_issuer() {
    let dir = data_dir("keys");
    let data = dir.to_str().expect("UTF-8");
    let variables = [("TOLLGATE_DATA_DIR", data), ("KEY_PUBLISH_AHEAD", "2")];
    let issuer = Issuer::start(&["--dev"], &variables).await;
    let token = issuer.user("ada").await;

    let young = run(&["keys", "rotate"], &[("TOLLGATE_DATA_DIR", data)]);
    assert_eq!(young.status.code(), Some(1));
    assert!(
        stderr(&young).contains("try again in "),
        "{}",
        stderr(&young)
    );

    let [first, standby] = kids(&issuer.get("/.well-known/jwks.json").await.1)
        .try_into()
        .expect("two keys");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rotated = run(&["keys", "rotate", "--json"], &variables);
    let answer: Value =
        serde_json::from_slice(&rotated.stdout).unwrap_or_else(|_| panic!("{}", stderr(&rotated)));
    assert_eq!(answer, json!({ "active": standby }));
    let validate = async |token: &str| {
        issuer
            .post("/auth/validate", "", &json!({ "token": token }))
            .await
            .1
    };
    assert_eq!(
        validate(&token).await["valid"],
        true,
        "tokens of the retiring key go on"
    );

    tokio::time::sleep(Duration::from_secs(1)).await;
    let fresh = issuer.login("ada").await;
    let listed: Value =
        serde_json::from_slice(&run(&["keys", "list", "--json"], &variables).stdout).expect("JSON");
    let states: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| (&key["kid"], &key["state"]))
        .collect();
    assert!(
        states.contains(&(&json!(first), &json!("retiring"))),
        "{states:?}"
    );
    assert!(
        states.contains(&(&json!(standby), &json!("active"))),
        "{states:?}"
    );

    let revoked = run(&["keys", "revoke", &standby], &variables);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(validate(&fresh).await["valid"], false);
    assert_eq!(
        validate(&issuer.login("ada").await).await["valid"],
        true,
        "the standby signs at once"
    );
    let unknown = run(&["keys", "revoke", &standby], &variables);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn openapi_needs_no_database() {
    let output = run(&["openapi"], &[]);
    let spec: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert!(spec["paths"]["/api/v1/auth/login"].is_object());
}
