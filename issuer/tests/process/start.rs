use crate::support::{Issuer, MASTER_KEY, data_dir, run, stderr};

#[test]
fn serve_without_database_and_master_key_refuses_to_start_and_names_both() {
    let output = run(&["serve"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("DATABASE_URL") && said.contains("MASTER_KEY"),
        "{said}"
    );
}

#[test]
fn every_bad_variable_is_listed_at_once() {
    let bad = [
        ("DATABASE_URL", "nowhere"),
        ("MASTER_KEY", "short"),
        ("LISTEN_ADDR", "everywhere"),
        ("ACCESS_TOKEN_TTL", "forever"),
        ("CREDITS_DAILY_FREE", "-5"),
        ("CORS_ORIGINS", "*"),
    ];
    let output = run(&["serve"], &bad);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for (name, value) in bad {
        assert!(said.contains(name), "{name} is missing in: {said}");
        assert!(
            value.len() < 3 || !said.contains(&format!("\"{value}\"")),
            "{said}"
        );
    }
}

#[test]
fn development_mode_refuses_a_public_address() {
    for variable in [
        ("LISTEN_ADDR", "0.0.0.0:3001"),
        ("BASE_URL", "https://id.example.com"),
    ] {
        let output = run(&["serve", "--dev"], &[variable]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(variable.0), "{}", stderr(&output));
    }
}

#[test]
fn a_database_that_is_not_there_is_said_without_the_password() {
    let url = "postgres://ada:hunter2@127.0.0.1:1/none";
    let output = run(&["migrate"], &[("DATABASE_URL", url)]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("database") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn development_mode_starts_from_nothing_and_answers_only_to_loopback_hosts() {
    let dir = data_dir("development");
    let data = dir.to_str().expect("UTF-8");
    let mut issuer = Issuer::start(&["--dev"], &[("TOLLGATE_DATA_DIR", data)]).await;
    issuer.user("ada").await;
    let rebound = issuer
        .http
        .get(format!("{}/health", issuer.url))
        .header("host", "evil.example")
        .send()
        .await;
    assert_eq!(rebound.expect("an answer").status(), 403);
    assert_eq!(issuer.get("/dev/mailbox").await.0, 200);

    let second = run(
        &["serve", "--dev"],
        &[("TOLLGATE_DATA_DIR", data), ("LISTEN_ADDR", "127.0.0.1:0")],
    );
    assert_eq!(
        second.status.code(),
        Some(1),
        "a second serve on one directory is refused"
    );
    assert!(
        stderr(&second).contains(data) || stderr(&second).contains("in use"),
        "{}",
        stderr(&second)
    );

    let (code, took) = issuer.stop();
    assert_eq!(code, Some(0));
    assert!(took.as_secs() < 30, "{took:?}");

    let again = Issuer::start(&["--dev"], &[("TOLLGATE_DATA_DIR", data)]).await;
    again.login("ada").await;
}

#[tokio::test]
async fn another_master_key_on_a_used_database_is_refused() {
    let dir = data_dir("master_key");
    let data = dir.to_str().expect("UTF-8");
    let mut issuer = Issuer::start(
        &["--dev"],
        &[("TOLLGATE_DATA_DIR", data), ("MASTER_KEY", MASTER_KEY)],
    )
    .await;
    issuer.stop();
    let other = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    let output = run(
        &["serve", "--dev"],
        &[("TOLLGATE_DATA_DIR", data), ("MASTER_KEY", other)],
    );
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("MASTER_KEY is not the one") && !said.contains(other),
        "{said}"
    );
}
