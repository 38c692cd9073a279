//! The peer's routes, and serving them until the process is asked to end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sessile::{
    Clock as _, CookiePolicy, CookieRule, LoginPolicy, LoginStore, SecretList, Session, SessionLayer,
    SignInSession, SignedInDevice, SystemClock, WeakSecret,
};
use sessile_store::{OpenError, fallback::Fallback, open_logins};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::peer::{
    body::{Entries, Refused, read},
    settings::{Settings, SettingsError},
};

/// Events that one look shows.
const EVENTS_SHOWN: usize = 1000;
/// Sessions that one sweep removes.
const SWEEP_BATCH: usize = 1000;

/// Why the peer ended.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// `SESSION_SECRET` is.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// Browsers would drop the cookie.
    #[error(transparent)]
    Cookie(#[from] CookieRule),
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// No port, or no signals.
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
}

/// Opens the store, prints `listening <port>` and serves until SIGTERM; what is under way is finished.
///
/// # Errors
/// [`PeerError`] says what to change.
pub async fn serve(settings: &Settings) -> Result<(), PeerError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let store = open(settings).await?;
    let secrets = SecretList::parse(&settings.secrets)?;
    let layer = SessionLayer::builder(store.clone(), secrets).with_policy(policy(settings)).build()?;
    let app = routes(store).layer(layer).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
    println!("listening {}", listener.local_addr()?.port());
    let stop = async move {
        terminate.recv().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn open(settings: &Settings) -> Result<Arc<dyn LoginStore>, OpenError> {
    let primary = open_logins(&settings.store_url, &settings.options).await?;
    let Some(spool) = &settings.spool else { return Ok(primary) };
    let fallback = Fallback::open(primary, spool, &settings.options, Arc::new(SystemClock)).await?;
    Ok(Arc::new(fallback))
}

fn policy(settings: &Settings) -> LoginPolicy {
    let cookie = CookiePolicy {
        name: settings.cookie_name.clone(),
        secure: settings.secure.into(),
        ..CookiePolicy::plain_http()
    };
    let standard = LoginPolicy::new(cookie);
    LoginPolicy {
        max_age: settings.max_age,
        touch_interval: settings.touch_interval.unwrap_or(standard.touch_interval),
        rolling: settings.rolling.into(),
        ..standard
    }
}

fn routes(store: Arc<dyn LoginStore>) -> Router {
    Router::new()
        .route("/get", get(view))
        .route("/touch", get(async || Json(json!({"ok": true}))))
        .route("/set", post(set))
        .route("/remove", post(remove))
        .route("/destroy", post(destroy))
        .route("/regenerate", post(regenerate))
        .route("/late", post(late))
        .route("/devices", get(devices))
        .route("/revoke-others", post(revoke_others))
        .route("/store", get(info))
        .route("/events", get(events))
        .route("/sweep", post(sweep))
        .with_state(store)
}

/// The session as a client may see it, in the shape of the Express application's answer.
#[derive(Serialize)]
struct View {
    /// Names the session without being worth anything.
    fingerprint: Option<String>,
    session: Entries,
    why_lost: Option<&'static str>,
}

type Answer<T> = Result<Json<T>, Refused>;

async fn view(session: Session) -> Answer<View> {
    Ok(Json(View {
        fingerprint: session.fingerprint().map(|fingerprint| fingerprint.to_string()),
        session: Entries::of(&session)?,
        why_lost: session.why_lost().map(|why| why.name()),
    }))
}

/// Also while the store is away, so that a spool behind it can take a new session.
async fn set(SignInSession(session): SignInSession, body: Bytes) -> Answer<View> {
    read::<Entries>(&body)?.assign(&session)?;
    view(session).await
}

#[derive(Deserialize)]
struct Remove {
    keys: Vec<String>,
}

async fn remove(session: Session, body: Bytes) -> Answer<View> {
    for key in read::<Remove>(&body)?.keys {
        session.remove(&key)?;
    }
    view(session).await
}

async fn destroy(SignInSession(session): SignInSession) -> Answer<Value> {
    session.destroy()?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct Regenerate {
    #[serde(default)]
    set: Entries,
}

/// As express-session's: the new session holds nothing of the old one.
async fn regenerate(SignInSession(session): SignInSession, body: Bytes) -> Answer<View> {
    let body: Regenerate = read(&body)?;
    session.clear()?;
    session.regenerate()?;
    body.set.assign(&session)?;
    view(session).await
}

#[derive(Deserialize)]
struct Late {
    delay_ms: u64,
    set: Entries,
}

/// The session was loaded when the request began; the write comes late, as after a slow upstream call.
async fn late(session: Session, body: Bytes) -> Answer<View> {
    let body: Late = read(&body)?;
    tokio::time::sleep(Duration::from_millis(body.delay_ms)).await;
    body.set.assign(&session)?;
    view(session).await
}

async fn devices(session: Session) -> Answer<Vec<SignedInDevice>> {
    Ok(Json(session.devices().await?))
}

async fn revoke_others(session: Session) -> Answer<Value> {
    Ok(Json(json!({"ended": session.revoke_others().await?})))
}

async fn info(State(store): State<Arc<dyn LoginStore>>) -> Json<Value> {
    let info = store.info();
    Json(json!({"engine": info.engine, "place": info.place, "degraded": info.degraded}))
}

async fn events(State(store): State<Arc<dyn LoginStore>>) -> Answer<Value> {
    let events = store.events(EVENTS_SHOWN).await.map_err(sessile::Error::from)?;
    let shown = |event: &sessile_core::login::LoginEvent| {
        let user = event.user.as_ref().map(|user| user.as_str().to_owned());
        json!({"kind": event.kind.name(), "handle": event.handle.as_str(), "user": user})
    };
    Ok(Json(events.iter().map(shown).collect()))
}

async fn sweep(State(store): State<Arc<dyn LoginStore>>) -> Answer<Value> {
    let swept = store.sweep(SystemClock.now(), SWEEP_BATCH).await.map_err(sessile::Error::from)?;
    Ok(Json(json!({"removed": swept.removed, "more": swept.more})))
}
