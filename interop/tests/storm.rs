//! A request storm on every public route, from one address of this machine: no route falls over or answers what is not
//! described; limits answer 429 and 413, with `Retry-After` where waiting helps; CLICK and Stripe are heard all the while,
//! each message the first time; and the memory of the program stays within a bound.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
#[path = "shop/server.rs"]
mod server;
#[expect(dead_code, reason = "each test uses its part of the shared world")]
mod whole;

#[path = "storm/providers.rs"]
mod providers;
#[path = "storm/routes.rs"]
mod routes;

use futures_util::StreamExt as _;
use load::{Outcome, is_long, seed};
use reqwest::{Method, Response};
use routes::Route;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;
use whole::Whole;

/// Requests under way at once.
const AT_ONCE: usize = 128;
/// Bytes of a body that is too large for every route but one, whose bound is six times as much.
const TOO_LARGE: usize = 7 * 1024 * 1024;
/// Bodies of that size for each route.
const LARGE_BODIES: usize = 6;
/// Tries of something that may be guessed: far more than anybody has.
const GUESSES: usize = 60;
/// By how much the storm may leave the program larger than a first, smaller one did. Freed memory goes back to the
/// system late; a leak of a KiB for each request would be more than this.
const GROWTH_MAX: u64 = 48 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// Requests to each route.
fn rounds() -> usize {
    if is_long() { 2000 } else { 100 }
}

/// How often which status was answered, in a storm that may hold what is described and nothing else.
async fn storm(
    whole: &Whole,
    routes: &[Route],
    rounds: usize,
    rng: &mut fastrand::Rng,
) -> BTreeMap<u16, usize> {
    let mut all: Vec<&Route> = (0..rounds).flat_map(|_| routes).collect();
    rng.shuffle(&mut all);
    let asked = all.into_iter().map(|route| {
        let request = route.request(&whole.home, &whole.http, rng);
        async move { (route, request.send().await) }
    });
    let requests: Vec<_> = asked.collect();
    let mut answers = futures_util::stream::iter(requests).buffer_unordered(AT_ONCE);
    let mut statuses = BTreeMap::new();
    while let Some((route, answer)) = answers.next().await {
        let answer = answer.unwrap_or_else(|error| panic!("{} {}: {error}", route.method, route.path));
        let status = answer.status().as_u16();
        let Route { method, path, described, .. } = route;
        assert!(described.contains(&status), "{method} {path} answered {status}, which is not described");
        assert_ne!(status, 500, "{method} {path}");
        if matches!(status, 429 | 503) {
            assert!(
                answer.headers().contains_key("retry-after"),
                "{method} {path}: {status} without Retry-After"
            );
        }
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_stands_and_providers_are_heard() -> Outcome {
    let seed = seed("every_route_stands_and_providers_are_heard");
    let mut rng = fastrand::Rng::with_seed(seed);
    let whole = Whole::open("storm").await?;
    let routes = Route::all(&whole.home, &whole.http).await?;
    // A first, smaller storm fills caches, pools and the allocator.
    storm(&whole, &routes, rounds() / 4, &mut rng).await;
    let before = whole.server.memory()?;
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    let raging = async {
        let statuses = storm(&whole, &routes, rounds(), &mut rng).await;
        let large = too_large(&whole, &routes).await;
        stop.store(true, Ordering::Relaxed);
        large.map(|large| (statuses, large))
    };
    let (raged, heard) = tokio::join!(raging, providers::insist(&whole, &stop));
    let ((statuses, large), heard) = (raged?, heard?);
    let after = whole.server.memory()?;
    let requests: usize = statuses.values().sum();
    println!(
        "{requests} requests to {} routes and {large} bodies of 7 MiB in {:?}: {statuses:?}; {heard} messages of \
         providers taken meanwhile; memory {} MiB before, {} MiB after",
        routes.len(),
        began.elapsed(),
        before / MIB,
        after / MIB,
    );
    assert!(heard > 0, "no provider got a word in");
    assert!(after < before + GROWTH_MAX, "the program grew from {before} to {after} bytes");
    Ok(())
}

/// Bodies beyond every bound: 413 in the route's own form, wherever a body is read at all, from whoever may send one.
async fn too_large(whole: &Whole, routes: &[Route]) -> Outcome<usize> {
    let mut sent = 0;
    for route in routes.iter().filter(|route| route.takes_a_body && route.described.contains(&413)) {
        for _ in 0..LARGE_BODIES {
            let path = route.path.replace(['{', '}'], "");
            let token = if route.path.starts_with("/v1/admin") { &whole.admin_token } else { &whole.api_key };
            let request = whole.http.post(format!("{}{path}", whole.home)).bearer_auth(token);
            let request =
                request.header("content-type", "application/json").header("idempotency-key", "large");
            match request.header("stripe-signature", "t=1,v1=00").body(vec![b'x'; TOO_LARGE]).send().await {
                Ok(answer) if matches!(answer.status().as_u16(), 413 | 400) => {
                    let status = answer.status();
                    assert!(status == 413 || route.path.ends_with("/{id}"), "{path}: {status}");
                }
                Ok(answer) => return Err(format!("{path} answered {} to 7 MiB", answer.status()).into()),
                // It may close the connection on a sender that goes on: then that is the answer.
                Err(error) if error.is_request() || error.is_body() => {}
                Err(error) => return Err(error.into()),
            }
            sent += 1;
        }
    }
    Ok(sent)
}

/// Sends the same again and again; the answers.
async fn guess(whole: &Whole, path: &str, body: &str, media: &str) -> Outcome<Vec<Response>> {
    let mut answers = Vec::new();
    for _ in 0..GUESSES {
        let request = whole.http.request(Method::POST, format!("{}{path}", whole.home));
        // As our own pages send it.
        let request =
            request.header("content-type", media.to_owned()).header("sec-fetch-site", "same-origin");
        answers.push(request.body(body.to_owned()).send().await?);
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_nobody_else_is() -> Outcome {
    let whole = Whole::open("storm-guesses").await?;
    let form = "application/x-www-form-urlencoded";
    let choice = json!({ "tracks": [1], "selectedPackages": ["basic"], "couponCode": "GUESS" }).to_string();
    for (path, body, media) in [
        ("/api/coupons/validate", json!({ "code": "GUESS" }).to_string(), "application/json"),
        ("/api/create-checkout-session", choice, "application/json"),
        ("/admin", "token=guess".to_owned(), form),
    ] {
        let answers = guess(&whole, path, &body, media).await?;
        let slowed: Vec<&Response> = answers.iter().filter(|answer| answer.status() == 429).collect();
        assert!(slowed.len() > GUESSES / 4, "{path}: {} of {GUESSES} were slowed down", slowed.len());
        for answer in &slowed {
            let wait =
                answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
            assert!(
                wait.is_some_and(|seconds| (1..=60).contains(&seconds)),
                "{path}: {:?}",
                answer.headers()
            );
        }
        println!("{path}: {} of {GUESSES} tries were answered 429", slowed.len());
    }
    // The same address, and a caller who speaks for many.
    let quoted = whole.http.post(format!("{}/api/coupons/validate", whole.home)).bearer_auth(&whole.api_key);
    let quoted = quoted.json(&json!({ "code": "GUESS" })).send().await?;
    assert_eq!(quoted.status(), 404, "a backend is never slowed down");
    let order = whole.order(1).await?;
    let paid = whole.sandbox.click().pay(&order, &Whole::amount()).await?;
    let status =
        whole.http.get(format!("{}/api/click/status/{order}", whole.home)).bearer_auth(&whole.api_key);
    let status: Value = status.send().await?.json().await?;
    assert_eq!(status["status"], "completed", "{paid:?}");
    Ok(())
}
