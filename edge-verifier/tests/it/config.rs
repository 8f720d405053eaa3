//! What `edge.toml` may say, and what it must not.

use edge_verifier::config::check::check;
use edge_verifier::config::effective::render;
use edge_verifier::config::{
    Auth, Backend, Charge, ChargeWhen, Config, ConfigError, Cors, JwksRule, Limits, Method,
    OnStale, PathPattern, Problem, Rate, RevocationMode, RevocationRule, Route, Target,
    TokenSource,
};

/// A file that is right; the mistakes below are made in it, so that each has one cause.
const GOOD: &str = r#"[issuer]
url      = "http://127.0.0.1:3001"
audience = "tollgate"
[defaults]
auth = "required"
revocation = { mode = "bounded", max_age_s = 30, on_stale = "open" }
cors = { origins = ["http://localhost:5173"], credentials = true }
[[route]]
id      = "demo"
path    = "/api/*"
methods = ["GET", "POST"]
roles   = []
backend = { url = "http://127.0.0.1:9000", trust = "network", assertion = false }
[[route]]
id      = "health"
path    = "/healthz"
auth    = "none"
reason  = "liveness, no data"
backend = { url = "http://127.0.0.1:9000", trust = "network", assertion = false }
"#;

fn problems(text: &str) -> Vec<Problem> {
    check(text).expect_err("the file has a mistake")
}

/// The good file with one line replaced, counted from 1.
fn with_line(line: usize, text: &str) -> String {
    let replace = |(index, old): (usize, &str)| {
        if index + 1 == line {
            text.to_owned()
        } else {
            old.to_owned()
        }
    };
    GOOD.lines()
        .enumerate()
        .map(replace)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn good_file_is_resolved_with_its_defaults() {
    let config = check(GOOD).expect("no mistakes");
    let ids: Vec<&str> = config
        .routes
        .iter()
        .map(|route| route.id.as_str())
        .collect();
    assert_eq!(ids, ["health", "demo"]);
    let demo = &config.routes[1];
    assert_eq!(
        demo.path,
        PathPattern {
            literal: "/api/".into(),
            prefix: true
        }
    );
    assert_eq!(demo.methods, [Method::Get, Method::Post]);
    assert_eq!(demo.auth, Auth::Required);
    assert_eq!(demo.audience, "tollgate");
    assert_eq!(demo.token, TokenSource::Bearer);
    assert_eq!(demo.timeout_ms, 30_000);
    assert_eq!(demo.max_body_bytes, 100 << 20);
    assert!(!demo.cache && !demo.server_timing && !demo.backend.assertion);
    assert_eq!(demo.limits, Limits::default());
    assert_eq!(config.edge.iss, "tollgate-edge");
    let rule = RevocationRule {
        mode: RevocationMode::Bounded,
        max_age_secs: 30,
        on_stale: OnStale::Open,
    };
    assert_eq!(demo.revocation, rule);
    assert_eq!(demo.cors.as_ref().map(|cors| cors.max_age_secs), Some(600));
    assert_eq!(
        demo.backend.target,
        Target::Url("http://127.0.0.1:9000".into())
    );
    let jwks = JwksRule {
        soft_secs: 300,
        hard_secs: 3600,
        timeout_ms: 3000,
    };
    assert_eq!(config.issuer.jwks, jwks);
    assert_eq!(config.routes[0].methods, [Method::Get, Method::Head]);
    assert_eq!(
        config.routes[0].reason.as_deref(),
        Some("liveness, no data")
    );
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [issuer]
        url = "https://id.example.com/auth/"
        iss = "tollgate-prod"
        audience = "shop"
        [edge]
        iss = "https://edge.example.com"
        [issuer.jwks]
        soft_s = 10
        hard_s = 20
        timeout_ms = 500
        [[route]]
        id = "orders"
        path = "/v1/orders/*"
        host = "api.example.com"
        methods = ["GET", "PUT"]
        auth = "optional"
        audience = "orders"
        roles = ["admin", "support"]
        token = "cookie:__Host-token"
        revocation = { mode = "strict", max_age_s = 5, on_stale = "closed" }
        cost = 0
        app_id = "shop"
        charge = "on_success"
        charge_4xx = false
        timeout_ms = 1000
        max_body_bytes = 2048
        cache = true
        limits = { per_user = "100/min", failed_auth = "30/h" }
        server_timing = true
        cors = { origins = ["https://app.example.com"], credentials = true, max_age_s = 60 }
        backend = { service = "ORDERS", name = "orders", token = "forward", strip_prefix = "/v1" }
    "#;
    let config = check(text).expect("no mistakes");
    assert_eq!(config.issuer.url, "https://id.example.com/auth");
    assert_eq!(config.issuer.iss.as_deref(), Some("tollgate-prod"));
    assert_eq!(config.edge.iss, "https://edge.example.com");
    let wanted = Route {
        id: "orders".into(),
        path: PathPattern {
            literal: "/v1/orders/".into(),
            prefix: true,
        },
        host: Some("api.example.com".into()),
        methods: vec![Method::Get, Method::Put],
        auth: Auth::Optional,
        reason: None,
        audience: "orders".into(),
        roles: vec!["admin".into(), "support".into()],
        token: TokenSource::Cookie("__Host-token".into()),
        revocation: RevocationRule {
            mode: RevocationMode::Strict,
            max_age_secs: 5,
            on_stale: OnStale::Closed,
        },
        charge: None,
        timeout_ms: 1000,
        max_body_bytes: 2048,
        cache: true,
        limits: Limits {
            per_user: Some(Rate {
                count: 100,
                period_secs: 60,
            }),
            failed_auth: Some(Rate {
                count: 30,
                period_secs: 3600,
            }),
        },
        server_timing: true,
        cors: Some(Cors {
            origins: vec!["https://app.example.com".into()],
            credentials: true,
            max_age_secs: 60,
        }),
        backend: Backend {
            name: Some("orders".into()),
            assertion: false,
            target: Target::Service("ORDERS".into()),
            forward_token: true,
            strip_segments: 1,
        },
    };
    assert_eq!(config.routes, [wanted]);
}

#[test]
fn rules_are_inherited_key_by_key_and_backends_as_a_whole() {
    let text = r#"
        [issuer]
        url = "https://id.example.com"
        audience = "tollgate"
        [defaults]
        revocation = { max_age_s = 10, on_stale = "closed" }
        cors = { origins = ["https://app.example.com"], credentials = true }
        backend = { url = "http://inside:80", trust = "network", token = "forward" }
        [[route]]
        id = "a"
        path = "/a"
        revocation = { mode = "strict" }
        cors = { max_age_s = 5 }
        [[route]]
        id = "b"
        path = "/b"
        backend = { service = "B" }
        cors = { origins = [] }
    "#;
    let config = check(text).expect("no mistakes");
    let route = |id: &str| {
        config
            .routes
            .iter()
            .find(|route| route.id == id)
            .expect("it is there")
    };
    let rule = RevocationRule {
        mode: RevocationMode::Strict,
        max_age_secs: 10,
        on_stale: OnStale::Closed,
    };
    assert_eq!(route("a").revocation, rule);
    let cors = route("a").cors.as_ref().expect("inherited");
    assert_eq!(
        (cors.origins.len(), cors.credentials, cors.max_age_secs),
        (1, true, 5)
    );
    assert!(route("a").backend.forward_token);
    assert!(!route("b").backend.forward_token);
    assert_eq!(route("b").cors, None);
}

#[test]
fn assertion_is_on_where_the_backend_can_be_reached_around_the_gateway() {
    for (backend, wanted) in [
        ("url = \"https://b.example\"", Some("https://b.example")),
        ("url = \"https://b.example\", name = \"b\"", Some("b")),
        (
            "url = \"http://127.0.0.1:9000\", assertion = true",
            Some("http://127.0.0.1:9000"),
        ),
        ("url = \"http://b.example\", trust = \"network\"", None),
        (
            "url = \"http://b.example\", trust = \"network\", assertion = true",
            Some("http://b.example"),
        ),
        ("service = \"B\"", None),
        ("service = \"B\", name = \"b\", assertion = true", Some("b")),
    ] {
        let text = with_line(13, &format!("backend = {{ {backend} }}"));
        let config = check(&text).unwrap_or_else(|problems| panic!("{backend}: {problems:?}"));
        let backend = &config.routes[1].backend;
        let name = backend.name.as_deref().filter(|_| backend.assertion);
        assert_eq!(name, wanted, "{backend:?}");
    }
}

#[test]
fn limits_are_inherited_key_by_key_but_not_where_there_is_no_token() {
    let text = with_line(
        5,
        "limits = { per_user = \"9/s\", failed_auth = \"5/min\" }",
    );
    let text = text.replace("roles   = []", "limits = { per_user = \"7/h\" }");
    let config = check(&text).expect("no mistakes");
    let rate = |count, period_secs| Some(Rate { count, period_secs });
    let wanted = Limits {
        per_user: rate(7, 3600),
        failed_auth: rate(5, 60),
    };
    assert_eq!(config.routes[1].limits, wanted);
    assert_eq!(config.routes[0].limits, Limits::default());
}

#[test]
fn each_mistake_names_its_line_and_a_remedy() {
    for (line, text, what, remedy) in [
        (
            1,
            "[isuer]",
            "unknown key `isuer`",
            "did you mean `issuer`?",
        ),
        (
            2,
            "ulr = \"https://x.example\"",
            "unknown key `ulr`",
            "did you mean `url`?",
        ),
        (
            2,
            "url = 5",
            "`url` of [issuer] is of type integer",
            "write a string",
        ),
        (
            2,
            "url = \"\"",
            "`url` of [issuer] is empty",
            "give `url` a value",
        ),
        (
            2,
            "url = \"id.example.com\"",
            "is no http or https URL",
            "begin with https://",
        ),
        (
            2,
            "url = \"http://id.example.com\"",
            "plain http",
            "use https",
        ),
        (
            2,
            "url = \"https://u:p@id.example.com\"",
            "no plain lower-case host",
            "at most a port",
        ),
        (
            2,
            "url = \"https://id.example.com/?a=1\"",
            "query",
            "keep at most a plain path",
        ),
        (
            5,
            "auth = \"requierd\"",
            "cannot be \"requierd\"",
            "required, optional, none",
        ),
        (5, "auth = \"none\"", "would open routes", "on each route"),
        (5, "reason = \"because\"", "explains nothing", "move it"),
        (
            5,
            "id = \"x\"",
            "unknown key `id` in [defaults]",
            "known here",
        ),
        (
            5,
            "path = \"/x\"",
            "unknown key `path` in [defaults]",
            "did you mean `auth`?",
        ),
        (
            6,
            "revocation = { mode = \"lax\" }",
            "cannot be \"lax\"",
            "bounded, strict",
        ),
        (
            6,
            "revocation = { max_age_s = 90 }",
            "out of range",
            "from 1 to 60",
        ),
        (
            6,
            "revocation = { max_age_s = 0 }",
            "out of range",
            "from 1 to 60",
        ),
        (
            6,
            "revocation = { on_stale = \"ajar\" }",
            "cannot be \"ajar\"",
            "open, closed",
        ),
        (
            6,
            "revocation = \"strict\"",
            "is of type string",
            "write a table",
        ),
        (
            7,
            "cors = { origins = [\"null\"] }",
            "sandboxed page",
            "list real origins",
        ),
        (
            7,
            "cors = { origins = [\"https://a.example/x\"] }",
            "no origin",
            "scheme, host and port",
        ),
        (
            7,
            "cors = { origins = [\"https://a.example:443\"] }",
            "default port",
            "scheme, host",
        ),
        (
            7,
            "cors = { origins = [\"*\"], credentials = true }",
            "credentials to every",
            "list the origins",
        ),
        (
            7,
            "cors = { origins = [\"*\", \"https://a.example\"] }",
            "beside others",
            "list either",
        ),
        (
            7,
            "cors = { origins = [\"https://a.example\", \"https://a.example\"] }",
            "stands twice",
            "remove one",
        ),
        (
            7,
            "cors = { origins = \"https://a.example\" }",
            "is of type string",
            "a list of strings",
        ),
        (9, "id = \"a b\"", "is no plain name", "letters, digits"),
        (
            10,
            "path = \"api\"",
            "does not begin with a slash",
            "begin with /",
        ),
        (
            10,
            "path = \"/api*\"",
            "elsewhere than after its last slash",
            "end a prefix with /*",
        ),
        (
            10,
            "path = \"/a/*/b\"",
            "elsewhere than after its last slash",
            "end a prefix with /*",
        ),
        (10, "path = \"/a//b\"", "could never match", "leave out"),
        (10, "path = \"/a/../b\"", "could never match", "leave out"),
        (10, "path = \"/a%20b\"", "could never match", "leave out"),
        (10, "path = \"/a?b=1\"", "could never match", "leave out"),
        (
            10,
            "path = \"/.well-known/edge/status\"",
            "belongs to the gateway",
            "outside",
        ),
        (
            10,
            "path = \"/.well-known/edge-jwks.json\"",
            "belongs to the gateway",
            "outside",
        ),
        (
            11,
            "methods = [\"get\"]",
            "method \"get\" cannot be routed",
            "in capitals",
        ),
        (
            11,
            "methods = [\"TRACE\"]",
            "method \"TRACE\" cannot be routed",
            "in capitals",
        ),
        (
            11,
            "methods = [\"GET\", \"GET\"]",
            "stands twice",
            "remove one",
        ),
        (
            11,
            "methods = [\"GET\", 5]",
            "is of type array",
            "a list of strings",
        ),
        (
            11,
            "host = \"API.example.com\"",
            "no lower-case host",
            "without scheme",
        ),
        (
            11,
            "host = \"*.example.com\"",
            "no lower-case host",
            "wildcard",
        ),
        (
            11,
            "host = \"api.example.com:443\"",
            "no lower-case host",
            "port",
        ),
        (
            11,
            "cost = 3",
            "`cost` without a usable `app_id`",
            "add app_id",
        ),
        (
            11,
            "cost = 3\napp_id = \"a b\"",
            "no id of an app",
            "tollgate app list",
        ),
        (
            11,
            "cost = 3\napp_id = \".shop\"",
            "no id of an app",
            "letters, digits",
        ),
        (
            11,
            "auth = \"optional\"\ncost = 3",
            "without a token for nothing",
            "auth = \"required\"",
        ),
        (
            11,
            "audience = \"orders\"\ncost = 3",
            "tokens the issuer does not take",
            "leave out audience",
        ),
        (
            11,
            "charge_4xx = false\ncharge = \"before\"\ncost = 3",
            "says nothing beside charge",
            "remove it",
        ),
        (
            11,
            "cost = 3\ncharge_4xx = \"yes\"",
            "is of type string",
            "true or false",
        ),
        (11, "cost = 1000001", "out of range", "to 1000000"),
        (
            17,
            "auth = \"none\"\ncost = 3",
            "without a token for nothing",
            "auth = \"required\"",
        ),
        (11, "cost = -1", "out of range", "from 0"),
        (
            11,
            "charge = \"later\"",
            "cannot be \"later\"",
            "before, on_success",
        ),
        (
            11,
            "token = \"query\"",
            "cannot be \"query\"",
            "bearer, cookie:",
        ),
        (
            11,
            "token = \"cookie:session\"",
            "could be set by another site",
            "__Host-",
        ),
        (
            11,
            "token = \"cookie:__Host-a;b\"",
            "could be set by another site",
            "__Host-",
        ),
        (11, "timeout_ms = 1.5", "is of type float", "a whole number"),
        (11, "timeout_ms = 5", "out of range", "from 100"),
        (
            11,
            "max_body_bytes = 99999999999999999999",
            "out of range",
            "from 0",
        ),
        (11, "cache = \"yes\"", "is of type string", "true or false"),
        (12, "roles = [\"\"]", "is no plain name", "letters"),
        (
            12,
            "reason = \"x\"",
            "on a route that looks at tokens",
            "remove it",
        ),
        (12, "id = 'other", "not TOML", "correct the syntax"),
        (
            12,
            "id = \"again\"",
            "not TOML: duplicate key",
            "correct the syntax",
        ),
        (
            13,
            "backend = { url = \"http://127.0.0.1:9000\", assertion = false }",
            "believe anyone",
            "trust = \"network\"",
        ),
        (
            13,
            "backend = { url = \"http://b.example\" }",
            "plain http",
            "use https",
        ),
        (
            13,
            "backend = { service = \"B\", url = \"https://b.example\" }",
            "exactly one of",
            "keep one",
        ),
        (
            11,
            "limits = { per_user = \"100/week\" }",
            "\"100/week\" is no rate",
            "\"100/min\"",
        ),
        (
            11,
            "limits = { failed_auth = \"0/min\" }",
            "\"0/min\" is no rate",
            "\"100/min\"",
        ),
        (
            11,
            "limits = { per_user = \"+5/s\" }",
            "\"+5/s\" is no rate",
            "\"100/min\"",
        ),
        (
            11,
            "limits = { per_usr = \"5/s\" }",
            "unknown key `per_usr`",
            "did you mean `per_user`?",
        ),
        (11, "limits = \"5/s\"", "is of type string", "write a table"),
        (
            11,
            "server_timing = 1",
            "is of type integer",
            "true or false",
        ),
        (
            18,
            "limits = { per_user = \"5/s\" }\nreason = \"x\"",
            "`limits` on a route that looks at no token",
            "remove limits",
        ),
        (13, "backend = {}", "exactly one of", "keep one"),
        (
            13,
            "backend = { service = \"B\", trust = \"all\" }",
            "cannot be \"all\"",
            "network",
        ),
        (
            13,
            "backend = { service = \"B\", token = \"keep\" }",
            "cannot be \"keep\"",
            "forward, strip",
        ),
        (
            13,
            "backend = { service = \"B\", strip_prefix = \"/b\" }",
            "no beginning of the route",
            "leading segments",
        ),
        (
            13,
            "backend = { service = \"B\", strip_prefix = \"/ap\" }",
            "no beginning of the route",
            "leading segments",
        ),
        (
            13,
            "backend = { service = \"B\", strip_prefix = \"api/\" }",
            "no plain path",
            "whole segments",
        ),
        (
            13,
            "backend = { servise = \"B\" }",
            "unknown key `servise`",
            "did you mean `service`?",
        ),
        (
            15,
            "id = \"demo\"",
            "id \"demo\" is taken by the route at line 8",
            "its own id",
        ),
        (18, "", "`auth = \"none\"` without a reason", "add reason"),
        (
            18,
            "roles = [\"admin\"]\nreason = \"x\"",
            "looks at no token",
            "remove roles",
        ),
    ] {
        let found = problems(&with_line(line, text));
        let hit = found.iter().find(|problem| problem.what.contains(what));
        let hit = hit.unwrap_or_else(|| panic!("line {line} {text}: {found:#?}"));
        assert!(hit.remedy.contains(remedy), "{text}: {hit}");
        let off_by = hit.line.abs_diff(line);
        assert!(off_by <= 1, "{text}: expected line {line}: {hit}");
    }
}

#[test]
fn what_is_missing_is_named_where_it_belongs() {
    for (line, what, remedy) in [
        (1, "", "there is no [issuer]"),
        (2, "[issuer] has no usable url", "add url"),
        (3, "[issuer] names no audience", "add audience"),
        (9, "a route without a usable `id`", "add a short name"),
        (10, "a route without a usable `path`", "add path"),
        (13, "a route without a backend", "add backend"),
    ] {
        let found = problems(&with_line(line, ""));
        let hit = found.iter().any(|problem| {
            let text = problem.to_string();
            text.contains(what) && text.contains(remedy)
        });
        assert!(hit, "without line {line}: {found:#?}");
    }
    assert!(problems("")[0].what.contains("no [issuer]"));
    let found = problems("[issuer]\nurl = \"https://a.example\"\naudience = \"a\"\n");
    assert_eq!(found[0].what, "the file has 0 routes");
}

#[test]
fn overlapping_routes_of_equal_weight_are_refused_with_both_lines() {
    let twin = format!(
        "{GOOD}[[route]]\nid = \"twin\"\npath = \"/api/*\"\nmethods = [\"POST\", \"PUT\"]\n\
        backend = {{ service = \"B\" }}\n"
    );
    let found = problems(&twin);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 20);
    assert!(
        found[0]
            .what
            .contains("takes POST requests of equal weight with route \"demo\" at line 8")
    );
    let apart = twin.replace("[\"POST\", \"PUT\"]", "[\"PUT\"]");
    assert!(check(&apart).is_ok());
    let hosted = twin.replace("id = \"twin\"", "id = \"twin\"\nhost = \"b.example\"");
    assert!(check(&hosted).is_ok());
}

#[test]
fn costs_are_inherited_key_by_key_and_end_at_0() {
    let text = r#"
        [issuer]
        url = "https://id.example.com"
        audience = "tollgate"
        [defaults]
        cost = 2
        app_id = "shop"
        charge_4xx = true
        backend = { service = "B" }
        [[route]]
        id = "a"
        path = "/a"
        [[route]]
        id = "b"
        path = "/b"
        cost = 7
        app_id = "other"
        charge_4xx = false
        [[route]]
        id = "c"
        path = "/c"
        cost = 0
        auth = "optional"
        charge = "before"
    "#;
    let config = check(text).expect("no mistakes");
    let charge = |id: &str| {
        let route = config.routes.iter().find(|route| route.id == id);
        route.expect("it is there").charge.clone()
    };
    let of = |cost, app_id: &str, on_4xx| Charge {
        cost,
        app_id: app_id.into(),
        when: ChargeWhen::OnSuccess,
        on_4xx,
    };
    assert_eq!(charge("a"), Some(of(2, "shop", true)));
    assert_eq!(charge("b"), Some(of(7, "other", false)));
    assert_eq!(charge("c"), None);
    let table = render(&config);
    let column = |needle: &str| table.lines().find_map(|line| line.find(needle));
    assert_eq!(column("COST"), column("2 in shop, on success and 4xx"));
    assert_eq!(column("COST"), column("7 in other, on success"));
}

#[test]
fn cookie_route_that_writes_needs_listed_origins() {
    let cookie = "methods = [\"POST\"]\ntoken = \"cookie:__Host-token\"";
    assert!(check(&with_line(11, cookie)).is_ok());
    let unlisted = with_line(11, cookie).replace(
        "cors = { origins = [\"http://localhost:5173\"], credentials = true }",
        "",
    );
    assert!(problems(&unlisted)[0].what.contains("no listed origins"));
    let reading = unlisted.replace("[\"POST\"]", "[\"GET\"]");
    assert!(check(&reading).is_ok());
}

#[test]
fn soft_ttl_above_hard_ttl_is_refused() {
    let text = with_line(
        3,
        "audience = \"tollgate\"\njwks = { soft_s = 20, hard_s = 10 }",
    );
    let found = problems(&text);
    assert_eq!((found[0].line, found.len()), (4, 1));
    assert!(found[0].remedy.contains("soft_s ≤ hard_s"));
}

#[test]
fn all_mistakes_are_reported_in_one_run() {
    let text = with_line(2, "ulr = 1")
        .replace("\"GET\"", "\"FETCH\"")
        .replace("reason", "raeson");
    let lines: Vec<usize> = problems(&text).iter().map(|problem| problem.line).collect();
    assert!(lines.is_sorted());
    for line in [2, 11, 18] {
        assert!(lines.contains(&line), "{line} in {lines:?}");
    }
}

#[test]
fn file_that_is_too_long_or_too_wide_is_refused() {
    let long = format!("{GOOD}#{}", "x".repeat(600 * 1024));
    assert!(problems(&long)[0].what.contains("longer than"));
    let mut wide = GOOD.to_owned();
    for n in 0..500 {
        use core::fmt::Write as _;
        let _ = write!(
            wide,
            "[[route]]\nid = \"r{n}\"\npath = \"/r{n}\"\nbackend = {{ service = \"B\" }}\n"
        );
    }
    assert!(
        problems(&wide)
            .iter()
            .any(|problem| problem.what == "the file has 502 routes")
    );
}

#[test]
fn bundle_reads_back_as_the_same_configuration() {
    let config = check(GOOD).expect("no mistakes");
    let bundle = config.to_bundle();
    assert_eq!(Config::from_bundle(&bundle), Ok(config));
    let (format, rest) = bundle.split_at(2);
    let other = if format == "80" { "81" } else { "80" };
    let cut = &bundle[..bundle.len() - 2];
    for bad in [
        format!("{other}{rest}"),
        format!("{bundle}00"),
        format!("{bundle}0"),
        format!("{cut}zz"),
        cut.to_owned(),
        String::new(),
    ] {
        assert_eq!(Config::from_bundle(&bad), Err(ConfigError), "{bad}");
    }
}

#[test]
fn effective_table_shows_defaults_and_lines_up() {
    let table = render(&check(GOOD).expect("no mistakes"));
    let column = |needle: &str| table.lines().find_map(|line| line.find(needle));
    assert_eq!(column("PATH"), column("/api/*"));
    assert_eq!(column("REVOCATION"), column("30 s, then open"));
    assert!(
        table.contains("health needs no token: liveness, no data"),
        "{table}"
    );
    assert!(table.lines().all(|line| !line.ends_with(' ')));
}

#[test]
fn no_file_makes_the_reader_panic() {
    let bytes = GOOD.as_bytes();
    for cut in 0..bytes.len() {
        let _ = check(&GOOD[..cut]);
        let mut broken = bytes.to_vec();
        broken[cut] ^= 0x15;
        if let Ok(text) = core::str::from_utf8(&broken) {
            let _ = check(text);
        }
    }
}
