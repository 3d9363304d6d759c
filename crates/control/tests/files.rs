//! Who may ask for what runs left and what agents keep, and what is said where there is nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod operator;

use operator::Place;

const RUN: &str = "run_01kaj3v5zk8q6x2m4n7p9r1s3t";

#[tokio::test]
async fn viewers_look_operators_change_and_nobody_else_does_either() {
    let place = Place::new();
    let node = place.start().await;
    let whose = r#"{"workspace":"lab","agent":"assistant"}"#;
    let version = r#"{"workspace":"lab","agent":"assistant","version":1}"#;
    let artifacts = format!("/api/v1/runs/{RUN}/artifacts");
    let one = format!("{artifacts}/a%2Fb");
    for (method, path, body, as_viewer, as_operator) in [
        ("GET", "/api/v1/state", "", 200, 200),
        ("GET", "/api/v1/state/export?workspace=lab&agent=assistant", "", 404, 404),
        ("POST", "/api/v1/state/restore", version, 403, 404),
        ("POST", "/api/v1/state/clear", whose, 403, 404),
        ("GET", artifacts.as_str(), "", 404, 404),
        ("GET", one.as_str(), "", 404, 404),
    ] {
        let nobody = place.tcp(&node, method, path, None, body).await;
        assert_eq!(nobody.status, 401, "{path}");
        for (token, status) in [(&place.viewer, as_viewer), (&place.operator, as_operator)] {
            let answer = place.tcp(&node, method, path, Some(token), body).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_or_is_not_there_is_refused_with_a_way_out() {
    let place = Place::new();
    let node = place.start().await;
    let artifacts = format!("/api/v1/runs/{RUN}/artifacts");
    for (method, path, body, status, said) in [
        ("GET", "/api/v1/state/export?agent=assistant", "", 400, "`workspace` is needed"),
        ("GET", "/api/v1/state/export?workspace=lab&agent=assistant&version=x", "", 400, "`version`"),
        ("GET", "/api/v1/state/export?workspace=..&agent=assistant", "", 400, "`workspace`"),
        (
            "POST",
            "/api/v1/state/restore",
            r#"{"workspace":"lab","agent":"assistant"}"#,
            400,
            "`version` is needed",
        ),
        (
            "POST",
            "/api/v1/state/restore",
            r#"{"workspace":"lab","agent":"../x","version":1}"#,
            400,
            "`agent`",
        ),
        (
            "POST",
            "/api/v1/state/clear",
            r#"{"workspace":"lab","agent":"assistant"}"#,
            404,
            "keeps nothing between runs",
        ),
        ("GET", artifacts.as_str(), "", 404, "/agent/out"),
    ] {
        let answer = place.tcp(&node, method, path, Some(&place.operator), body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(said), "{path}: {}", answer.body);
    }
    node.stop().await;
}
