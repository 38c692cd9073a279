//! The description of the API and the router agree, both ways; and what the description names is there. Whether answers
//! are as they are described, schemathesis checks in `interop/`.

use crate::shop::CATALOGUE;
use crate::world::World;
use reqwest::Method;
use serde_json::Value;
use sessile_core::SystemClock;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the description leaves out: the operator's pages, the files that pages load, and what is there in development
/// alone.
const NOT_DESCRIBED: [&str; 5] = ["/admin", "/assets/", "/auth/dev", "/debug/", "/tour"];
/// Methods that a route may have.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Codes that no request to a route of ours brings about: most tell the author of an application of a mistake in its code,
/// and a version conflict is for commits that may not be merged, of which the program has none.
const NEVER_ANSWERED: [&str; 8] = [
    // The dashboard alone answers it, which is no part of the API.
    "device_unavailable",
    "session_committed",
    "session_key_reserved",
    "session_layer_missing",
    "session_too_large",
    "session_value_type",
    "user_id_invalid",
    "version_conflict",
];

async fn world() -> World {
    World::shop(&[("SESSILE_CATALOGUE", CATALOGUE)], Arc::new(SystemClock)).await
}

async fn description(world: &World) -> Value {
    let answer = world.browser().get("/openapi.json").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.unwrap()
}

/// Paths as the router itself knows them. It lists them in its `Debug` form and nowhere else.
fn paths_of(world: &World) -> BTreeSet<String> {
    let text = format!("{:?}", sessile_server::router(world.app.clone()));
    let path = |part: &str| part.split_once("): \"")?.1.split_once('"').map(|(path, _)| path.to_owned());
    let paths: BTreeSet<String> = text
        .split("RouteId(")
        .filter(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("): \""))
        .filter_map(path)
        .filter(|path| !path.contains("__private"))
        .collect();
    let sample = ["/", "/v1/payments/{id}/refund", "/api/whatsapp/qr", "/packages"];
    let known = sample.iter().all(|path| paths.contains(*path));
    assert!(known, "the router's Debug form is another one now; mend this function. It says: {text}");
    paths
}

/// `GET /v1/payments/{id}`, and so on.
fn described(description: &Value) -> BTreeSet<String> {
    let paths = description["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.iter().flat_map(methods).collect()
}

/// A path that somebody might ask for.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_is_described_and_every_described_route_is_served() {
    let world = world().await;
    let browser = world.browser();
    let mut served = BTreeSet::new();
    for path in paths_of(&world) {
        if NOT_DESCRIBED.iter().any(|left_out| path.starts_with(left_out)) {
            continue;
        }
        for method in METHODS {
            let answer = browser.request(method.clone(), &filled(&path)).send().await.unwrap();
            if answer.status() != 405 {
                served.insert(format!("{method} {path}"));
            }
        }
    }
    let described = described(&description(&world).await);
    let missing: Vec<&String> = served.difference(&described).collect();
    let invented: Vec<&String> = described.difference(&served).collect();
    assert!(missing.is_empty(), "describe these in crates/server/src/http/openapi: {missing:?}");
    assert!(invented.is_empty(), "these are described and not served: {invented:?}");
    println!("{} routes are served and described", served.len());
}

/// Every value under `name`, wherever it stands.
fn all<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == name {
                    found.push(value);
                }
                all(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_problem_code_is_described_where_it_is_answered() {
    let description = description(&world().await).await;
    let mut named = Vec::new();
    all(&description["paths"], "code", &mut named);
    all(&description["components"]["responses"], "code", &mut named);
    let words = |shape: &&Value| shape["enum"].as_array().cloned().unwrap_or_default();
    let described: BTreeSet<String> =
        named.iter().flat_map(words).filter_map(|word| word.as_str().map(str::to_owned)).collect();
    // A path that is no route's is described for all of them at the top.
    let codes = sessile::PROBLEM_CODES.iter().chain(sessile_server::PROBLEM_CODES);
    let known: BTreeSet<String> =
        codes.filter(|code| !NEVER_ANSWERED.contains(code)).map(|code| (*code).to_owned()).collect();
    assert_eq!(described, known, "codes of the description and of the program differ");
}

#[tokio::test]
async fn the_description_holds_together() {
    let description = description(&world().await).await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut named = Vec::new();
    all(&description, "$ref", &mut named);
    assert!(!named.is_empty());
    for place in named {
        let pointer = place.as_str().unwrap().trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{place} names nothing");
    }
    let mut ids = Vec::new();
    all(&description["paths"], "operationId", &mut ids);
    let once: BTreeSet<&str> = ids.iter().filter_map(|id| id.as_str()).collect();
    assert_eq!(once.len(), ids.len(), "an operationId stands twice");
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            for status in ["405", "503"] {
                assert!(answers.contains_key(status), "{method} {path} does not describe {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_route_and_runs_nothing() {
    let world = world().await;
    let browser = world.browser();
    let page = browser.page("/docs/api").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    let description = description(&world).await;
    for (path, item) in description["paths"].as_object().unwrap() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path} is not on the page");
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id} is not on the page");
        }
    }
    assert!(!page.contains("<script"), "nothing runs on it");
    // Every link within the page leads somewhere.
    for part in page.split("href=\"#").skip(1) {
        let target = part.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
    }
}
