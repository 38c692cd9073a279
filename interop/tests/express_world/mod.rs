//! A real Express application and our peer on one store, and a browser between them.
//!
//! `express_postgres` and `express_redis` run the same cases on their engine; what only one engine promises stands in
//! its own file. The store is looked at directly, as neither application shows it.

#![expect(dead_code, reason = "each engine's test program uses its own part")]

pub(crate) mod browser;
pub(crate) mod cases;
pub(crate) mod late;
pub(crate) mod store;

use std::path::Path;

use sessile_interop::{
    peer::PeerApp,
    servers::{NodeApp, ServerError},
};

pub(crate) use self::{
    browser::{Browser, Reply},
    store::Place,
};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
pub(crate) type Env<'a> = &'a [(&'a str, &'a str)];

/// The program under test.
pub(crate) const PEER: &str = env!("CARGO_BIN_EXE_peer");
/// Both applications' cookie lifetime unless a test says otherwise: an hour.
pub(crate) const MAX_AGE_MS: &str = "3600000";
pub(crate) const MAX_AGE_SECONDS: f64 = 3600.0;
/// Both applications' secret unless a test says otherwise.
pub(crate) const SECRET: &str = "a secret that both applications have been given";

/// Both applications on one store.
pub(crate) struct World {
    pub(crate) peer: PeerApp,
    pub(crate) other: Other,
    pub(crate) place: Place,
}

/// Who else uses the store.
pub(crate) enum Other {
    Express(NodeApp),
    /// Where Express's client is not set up for it: another process of ours.
    Peer(PeerApp),
}

impl World {
    /// Starts both, the peer with a touch at every request as Express does.
    pub(crate) async fn start(place: Place) -> Outcome<Self> {
        Self::start_with(place, &[], &[]).await
    }

    /// Starts both with more settings. Ours first: so every case runs on a table that we have made.
    pub(crate) async fn start_with(place: Place, ours: Env<'_>, theirs: Env<'_>) -> Outcome<Self> {
        let peer = start_peer(&place, ours).await?;
        let express = Other::Express(start_express(&place, theirs).await?);
        Ok(Self { peer, other: express, place })
    }

    /// Two processes of ours.
    pub(crate) async fn ours_alone(place: Place) -> Outcome<Self> {
        let peer = start_peer(&place, &[]).await?;
        let other = Other::Peer(start_peer(&place, &[]).await?);
        Ok(Self { peer, other, place })
    }

    pub(crate) fn ours(&self) -> String {
        self.peer.url()
    }

    pub(crate) fn theirs(&self) -> String {
        match &self.other {
            Other::Express(express) => express.url(),
            Other::Peer(peer) => peer.url(),
        }
    }

    /// Who makes a session, and who else uses it: both directions.
    pub(crate) fn both_ways(&self) -> [(String, String); 2] {
        [(self.ours(), self.theirs()), (self.theirs(), self.ours())]
    }
}

pub(crate) async fn start_peer(place: &Place, more: Env<'_>) -> Result<PeerApp, ServerError> {
    let url = place.url();
    let fixed = [
        ("STORE_URL", url.as_str()),
        ("SESSION_SECRET", SECRET),
        ("MAX_AGE_MS", MAX_AGE_MS),
        ("TOUCH_INTERVAL_MS", "0"),
        ("TABLE", place.table()),
        ("LOG", "info,sessile=debug"),
    ];
    let env: Vec<_> = fixed.iter().chain(more).copied().collect();
    PeerApp::start(PEER, &env).await
}

pub(crate) async fn start_express(place: &Place, more: Env<'_>) -> Result<NodeApp, ServerError> {
    let url = place.url();
    let fixed = [
        ("STORE", place.kind()),
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", url.as_str()),
        ("SESSION_SECRET", SECRET),
        ("MAX_AGE_MS", MAX_AGE_MS),
        ("TABLE", place.table()),
    ];
    let env: Vec<_> = fixed.iter().chain(more).copied().collect();
    NodeApp::start(Path::new(env!("CARGO_MANIFEST_DIR")).join("express"), &env).await
}
