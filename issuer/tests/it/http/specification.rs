use serde_json::Value;

use crate::support::TestApp;

#[tokio::test]
async fn the_specification_served_is_the_one_committed() {
    let app = TestApp::start().await;
    let served = app.anon().get("/openapi.json").await.expect(200).text;
    let committed = include_str!("../../../../openapi.json");
    assert!(
        served == committed,
        "openapi.json is out of date: run `cargo xtask openapi`"
    );
}

#[tokio::test]
async fn every_operation_documents_how_it_refuses() {
    let app = TestApp::start().await;
    let spec = app.anon().get("/openapi.json").await.expect(200).body;
    for (path, item) in spec["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let responses = operation["responses"].as_object().expect("responses");
            let secured = operation["security"]
                .as_array()
                .is_some_and(|schemes| !schemes.is_empty());
            let mut wanted = vec!["400", "500", "503"];
            if secured {
                wanted.push("401");
            }
            for status in wanted {
                assert!(
                    responses.contains_key(status),
                    "{method} {path} does not document {status}"
                );
            }
            assert!(
                operation["operationId"].is_string(),
                "{method} {path} has no operation id"
            );
            assert!(has_summary(operation), "{method} {path} has no summary");
        }
    }
}

fn has_summary(operation: &Value) -> bool {
    operation["summary"]
        .as_str()
        .is_some_and(|summary| !summary.is_empty())
}
