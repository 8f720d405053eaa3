use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Issuer, data_dir, run, stderr};

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

#[tokio::test]
async fn operators_make_admins_apps_and_services_and_look_after_users() {
    let dir = data_dir("operators");
    let data = dir.to_str().expect("UTF-8");
    let variables = [("TOLLGATE_DATA_DIR", data)];
    let issuer = Issuer::start(&["--dev"], &variables).await;
    let tollgate = |arguments: &[&str]| run(arguments, &variables);

    let create = [
        "user",
        "create-admin",
        "--email",
        "root@example.com",
        "--json",
    ];
    let made = answer(&tollgate(&create));
    let again = tollgate(&create);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("tollgate user role"),
        "{}",
        stderr(&again)
    );
    let credentials = json!({"email": "root@example.com", "password": made["password"]});
    let (status, root) = issuer.post("/auth/login", "", &credentials).await;
    assert_eq!((status, &root["user"]["role"]), (200, &json!("admin")));
    assert_eq!(root["user"]["emailVerified"], true);

    let token = issuer.user("ada").await;
    assert!(
        tollgate(&["user", "ban", "ada@example.com", "--reason", "spam"])
            .status
            .success()
    );
    let shown = answer(&tollgate(&["user", "show", "ada@example.com", "--json"]));
    assert_eq!(shown["status"], "banned");
    let validate = json!({ "token": token });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (_, verdict) = issuer.post("/auth/validate", "", &validate).await;
    assert_eq!(verdict["valid"], false, "a ban is noticed within a second");
    assert!(
        tollgate(&["user", "unban", "ada@example.com"])
            .status
            .success()
    );
    issuer.login("ada").await;
    let unknown = tollgate(&["user", "ban", "nobody@example.com", "--reason", "spam"]);
    assert!(
        stderr(&unknown).contains("tollgate user list"),
        "{}",
        stderr(&unknown)
    );
    let listed = answer(&tollgate(&["user", "list", "--json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));

    assert!(
        tollgate(&["app", "create", "shop", "--name", "Shop"])
            .status
            .success()
    );
    let service = [
        "service-token",
        "create",
        "--name",
        "till",
        "--app",
        "shop",
        "--json",
    ];
    let service = answer(&tollgate(&service));
    assert!(
        service["secret"]
            .as_str()
            .is_some_and(|secret| secret.starts_with("tgs_"))
    );
    let id = service["id"].as_str().expect("an id");
    assert!(tollgate(&["service-token", "revoke", id]).status.success());

    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let verified = tollgate(&["audit", "verify", "--json"]);
    assert!(verified.status.success(), "{}", stderr(&verified));
    drop(issuer);
}
