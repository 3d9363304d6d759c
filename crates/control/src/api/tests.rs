//! The table, the router and the description say the same.

use std::collections::HashSet;

use ringfence_json::Value;

use super::openapi::path_parts;
use super::route::Route;
use super::{description, routes};

fn described() -> HashSet<(String, String)> {
    let document = description();
    let paths = document.get("paths").and_then(Value::as_object).unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap();
        operations.iter().map(move |(method, _)| (method.to_uppercase(), path.to_string()))
    });
    operations.collect()
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let routes: HashSet<(String, String)> =
        routes::ALL.iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    assert_eq!(routes.len(), routes::ALL.len(), "a route stands in the table twice");
    assert_eq!(described(), routes);
}

#[test]
fn operations_have_names_of_their_own() {
    let names: HashSet<&str> = routes::ALL.iter().map(|route| route.operation).collect();
    assert_eq!(names.len(), routes::ALL.len());
}

#[test]
fn only_health_checks_need_no_power_and_only_posts_change_something() {
    for Route { path, power, method, body, .. } in routes::ALL {
        let is_health = matches!(*path, "/healthz" | "/readyz");
        assert_eq!(*power == crate::Power::None, is_health, "{path}");
        assert_eq!(body.is_some(), method == http::Method::POST, "{path}");
        let asks = *path == "/api/v1/policy/explain";
        assert_eq!(*power > crate::Power::View, method == http::Method::POST && !asks, "{path}");
    }
}

#[test]
fn the_description_names_the_parts_of_paths() {
    let document = Value::Object(description());
    let killed = document.pointer("/paths/~1api~1v1~1runs~1{run}~1kill/post/parameters/0/name");
    assert_eq!(killed.and_then(Value::as_str), Some("run"));
    assert_eq!(path_parts("/a/{b}/c/{d}").collect::<Vec<_>>(), ["b", "d"]);
}
