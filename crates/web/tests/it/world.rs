//! A small application behind the layer, with a clock that the test moves and a store that counts.

use crate::watched::WatchedStore;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use sessile::{
    CookieSigner, DeviceHandle, Error, LoginStore as _, ManualClock, Revoked, SecretList, Session,
    SessionLayer, SessionLayerBuilder, SignInSession, Timestamp,
};
use sessile_core::login::{LoginData, LoginId, Lookup};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

pub(crate) const SECRET: &str = "the first secret of the test application";

/// Where a handler waits until the test lets it go on.
#[derive(Debug)]
pub(crate) struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);

impl Gate {
    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// Waits until that many handlers stand before the gate.
    pub(crate) async fn reached_by(&self, handlers: u32) {
        let reached = tokio::time::timeout(PATIENCE, self.reached.acquire_many(handlers)).await;
        reached.expect("no handler came").unwrap().forget();
    }

    pub(crate) fn let_through(&self, handlers: usize) {
        self.open.add_permits(handlers);
    }
}

pub(crate) struct World {
    pub(crate) app: Router,
    pub(crate) store: Arc<WatchedStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gate: Arc<Gate>,
}

/// An answer that is read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// All `Set-Cookie` lines of the session cookie.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap());
        lines.filter(|line| line.starts_with("sid=")).collect()
    }

    /// What the browser would send back: `sid=…`.
    pub(crate) fn cookie(&self) -> Option<String> {
        let lines = self.set_cookies();
        assert!(lines.len() <= 1, "{lines:?}");
        lines.first().map(|line| line.split(';').next().unwrap().to_owned())
    }

    pub(crate) fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        json["code"].as_str().unwrap().to_owned()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder) -> Self {
        Self::on(Arc::new(WatchedStore::new()), SECRET, set)
    }

    pub(crate) fn on(
        store: Arc<WatchedStore>,
        secrets: &str,
        set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_700_000_000_000)));
        let secrets = SecretList::parse(secrets).unwrap();
        let builder = SessionLayer::builder(store.clone(), secrets).with_clock(clock.clone());
        let gate = Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) });
        let app = routes().layer(Extension(gate.clone())).layer(set(builder).build().unwrap());
        Self { app, store, clock, gate }
    }

    pub(crate) async fn get(&self, path: &str, cookie: Option<&str>) -> Answer {
        self.send("GET", path, cookie, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, cookie: Option<&str>) -> Answer {
        self.send("POST", path, cookie, &[]).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        cookie: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        read(self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    }

    /// A signed-in visitor's cookie.
    pub(crate) async fn signed_in(&self, user: &str) -> String {
        self.post(&format!("/sign-in/{user}"), None).await.cookie().unwrap()
    }

    /// What the store holds for a cookie.
    pub(crate) async fn stored(&self, cookie: &str) -> Option<LoginData> {
        match self.store.inner.load(&id_of(cookie), sessile::Clock::now(&*self.clock)).await.unwrap() {
            Lookup::Live(stored) => Some(stored.data.clone()),
            Lookup::Absent(_) => None,
        }
    }
}

/// The session that a cookie names.
pub(crate) fn id_of(cookie: &str) -> LoginId {
    let signer = CookieSigner::new(&SecretList::parse(SECRET).unwrap());
    signer.verify(cookie.strip_prefix("sid=").unwrap()).unwrap().id
}

pub(crate) async fn read(response: axum::response::Response) -> Answer {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "nothing to do with sessions" }))
        .route("/keys", get(|session: Session| async move { session.keys().join(",") }))
        .route("/set/{key}/{value}", post(set))
        .route("/big/{bytes}", post(big))
        .route("/redirect", post(redirect))
        .route("/own-cookies", post(own_cookies))
        .route("/sign-in/{user}", post(sign_in))
        .route("/sign-out", post(|session: Session| async move { session.destroy() }))
        .route("/regenerate", post(|session: Session| async move { session.regenerate() }))
        .route("/unset", post(|session: Session| async move { session.unset() }))
        .route("/gated/{key}/{value}", post(gated))
        .route("/strict/{key}/{value}", post(strict))
        .route("/save/{key}/{value}", post(save))
        .route("/optional", get(|session: Option<Session>| async move { session.is_some().to_string() }))
        .route("/why", get(why))
        .route("/devices", get(|session: Session| async move { session.devices().await.map(Json) }))
        .route("/revoke/{handle}", post(revoke))
        .route(
            "/revoke-others",
            post(|s: Session| async move { s.revoke_others().await.map(|n| n.to_string()) }),
        )
        .route("/revoke-all", post(|s: Session| async move { s.revoke_all().await.map(|n| n.to_string()) }))
}

async fn set(Path((key, value)): Path<(String, String)>, session: Session) -> Result<&'static str, Error> {
    session.set(&key, &value)?;
    Ok("set")
}

async fn big(Path(bytes): Path<usize>, session: Session) -> Result<&'static str, Error> {
    session.set("big", &"x".repeat(bytes))?;
    Ok("set")
}

async fn redirect(session: Session) -> Result<Redirect, Error> {
    session.set("reached", &true)?;
    Ok(Redirect::to("/keys"))
}

async fn own_cookies(session: Session) -> Result<impl IntoResponse, Error> {
    session.set("a", &1)?;
    Ok((AppendHeaders([(SET_COOKIE, "theme=dark; Path=/"), (SET_COOKIE, "sid2=x")]), "three cookies"))
}

async fn sign_in(
    Path(user): Path<String>,
    SignInSession(session): SignInSession,
) -> Result<&'static str, Error> {
    session.sign_in(&user)?;
    Ok("welcome")
}

async fn gated(
    Path((key, value)): Path<(String, String)>,
    Extension(gate): Extension<Arc<Gate>>,
    session: Session,
) -> Result<&'static str, Error> {
    session.set(&key, &value)?;
    gate.pass().await;
    Ok("set")
}

async fn strict(
    path: Path<(String, String)>,
    gate: Extension<Arc<Gate>>,
    session: Session,
) -> Result<&'static str, Error> {
    session.strict();
    gated(path, gate, session).await
}

/// Saves in the middle while another task of the same request sets one more key.
async fn save(Path((key, value)): Path<(String, String)>, session: Session) -> Result<String, Error> {
    session.set(&key, &value)?;
    session.save().await?;
    session.set("after", &1)?;
    Ok(session.keys().join(","))
}

async fn why(SignInSession(session): SignInSession) -> String {
    session.why_lost().map_or("found", |lost| lost.name()).to_owned()
}

async fn revoke(Path(handle): Path<String>, session: Session) -> Result<&'static str, Error> {
    let handle = DeviceHandle::parse(&handle).ok_or(Error::NotSignedIn)?;
    Ok(match session.revoke(&handle).await? {
        Revoked::Yes => "ended",
        Revoked::NoSuchSession => "no such session",
    })
}
