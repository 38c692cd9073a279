//! What the log says, and that it never says an id or a cookie.

use crate::watched::Away;
use crate::world::{World, id_of};
use parking_lot::Mutex;
use sessile::TrustProxy;
use std::io;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }

    /// Events as JSON, by message.
    fn events(&self, message: &str) -> Vec<serde_json::Value> {
        let all = self.text();
        let events = all.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter(|e| e["fields"]["message"].as_str().unwrap_or_default().starts_with(message)).collect()
    }

    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }
}

#[tokio::test]
async fn every_lost_session_is_explained_and_no_secret_is_told() {
    let (log, _guard) = Log::start();
    let world = World::new();
    world.get("/keys?token=in-the-query", None).await;
    let cookie = world.signed_in("ada").await;
    world.get("/keys", Some(&format!("{}x", &cookie[..cookie.len() - 1]))).await;
    *world.store.corrupt.lock() = Some("session/feedbeef".to_owned());
    world.get("/keys", Some(&cookie)).await;
    *world.store.corrupt.lock() = None;
    world.store.is_away(Away::Loads);
    world.get("/keys", Some(&cookie)).await;
    world.store.is_away(Away::Writes);
    world.post("/set/a/1", Some(&cookie)).await;
    world.store.is_away(Away::Never);
    world.post("/big/70000", Some(&cookie)).await;
    world.post("/sign-out", Some(&cookie)).await;
    world.get("/keys", Some(&cookie)).await;

    let lost: Vec<(String, String)> = log
        .events("session_lost")
        .iter()
        .map(|e| (e["level"].as_str().unwrap().to_owned(), e["fields"]["why"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        ("DEBUG", "no_cookie"),
        ("DEBUG", "no_cookie"),
        ("INFO", "bad_signature"),
        ("WARN", "undecodable"),
        ("INFO", "store_down"),
        ("INFO", "ended"),
    ];
    assert_eq!(lost, expected.map(|(level, why)| (level.to_owned(), why.to_owned())));

    let fingerprint = id_of(&cookie).fingerprint().to_string();
    let ended = log.events("session_lost").pop().unwrap();
    assert_eq!(
        (&ended["fields"]["path"], &ended["fields"]["fingerprint"]),
        (&"/keys".into(), &fingerprint.into())
    );
    assert_eq!(log.events("session_lost")[3]["fields"]["place"], "session/feedbeef");

    let outages = log.events("session_store_unavailable");
    assert_eq!(
        outages.iter().map(|e| e["fields"]["step"].as_str().unwrap()).collect::<Vec<_>>(),
        ["load", "commit"]
    );
    for outage in &outages {
        let error = outage["fields"]["error"].as_str().unwrap();
        assert_eq!(error, "session storage did not answer: connection refused by db-7");
    }
    assert_eq!(log.events("session_not_kept").len(), 1, "the session that was too large");

    let text = log.text();
    let value = cookie.strip_prefix("sid=").unwrap();
    let signature = &value[value.len() - 20..];
    for secret in [id_of(&cookie).expose(), value, signature, crate::world::SECRET, "in-the-query"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_cookie_kept_back_is_said_once_a_minute_with_the_remedy() {
    let (log, _guard) = Log::start();
    let world = World::with(|b| b.with_trust_proxy(TrustProxy::No));
    for _ in 0..10 {
        world.post("/set/a/1", None).await;
        world.clock.advance(std::time::Duration::from_secs(10));
    }
    let warnings = log.events("session_cookie_kept_back");
    assert_eq!(warnings.len(), 2, "100 seconds");
    assert!(warnings[0]["fields"]["remedy"].as_str().unwrap().contains("TrustProxy::Yes"));
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let world = World::new();
    let answer = world.post("/set/a/1", None).await;
    let cookie = answer.cookie().unwrap();
    let shown = format!("{:?}", answer.headers);
    assert!(!shown.contains(id_of(&cookie).expose()), "the header is marked sensitive: {shown}");
}
