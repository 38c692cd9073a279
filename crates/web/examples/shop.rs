//! A small shop: sign in by name, fill a cart, see your devices, log out everywhere.
//!
//! ```sh
//! cargo run -p sessile --example shop               # sessions in shop.db, they survive a restart
//! cargo run -p sessile --example shop -- memory     # sessions that end with the process
//! ```
//! Then open <http://127.0.0.1:3000> in two browsers. Plain http and a fixed secret: for trying out only.

use axum::extract::{ConnectInfo, Form, Path};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sessile::{
    DeviceHandle, Error, LoginStore, SecretList, Session, SessionKey, SessionLayer, SignInSession,
    SignedInDevice,
};
use sessile_store::LoginOptions;
use sessile_store::memory::MemoryLogins;
use sessile_store::sqlite::SqliteLogins;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

const ADDRESS: &str = "127.0.0.1:3000";

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
}

impl SessionKey for Cart {
    const KEY: &'static str = "cart";
}

#[derive(Deserialize)]
struct SignIn {
    name: String,
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info,sessile=debug").init();
    let sessions =
        SessionLayer::builder(open_store()?, SecretList::parse("for trying out on this machine only")?)
            .with_secure(false)
            .build()?;
    let listener = tokio::net::TcpListener::bind(ADDRESS).await?;
    tracing::info!("open http://{ADDRESS}");
    axum::serve(listener, shop(sessions).into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

fn open_store() -> Result<Arc<dyn LoginStore>, Box<dyn std::error::Error>> {
    let options = LoginOptions::default();
    if std::env::args().nth(1).as_deref() == Some("memory") {
        return Ok(Arc::new(MemoryLogins::new(options)));
    }
    Ok(Arc::new(SqliteLogins::open(std::path::Path::new("shop.db"), &options)?))
}

fn shop(sessions: SessionLayer) -> Router {
    let same_origin = sessions.same_origin();
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/sign-out-everywhere", post(sign_out_everywhere))
        .route("/cart", post(add_to_cart))
        .route("/devices", get(devices))
        .route("/devices/{handle}", post(end_device))
        .layer(sessions)
        .layer(same_origin)
}

async fn home(
    session: Session,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
) -> Result<impl IntoResponse, Error> {
    let cart = session.value::<Cart>()?.unwrap_or_default();
    let mut page = String::from("<!doctype html><meta charset=utf-8><title>Shop</title><h1>Shop</h1>");
    if let Some(message) = session.take::<String>("flash")? {
        let _ = write!(page, "<p><em>{}</em></p>", escaped(&message));
    }
    match session.user() {
        Some(user) => {
            let _ = write!(page, "<p>Hello {}, from {}.</p>", escaped(user.as_str()), from.ip());
            page.push_str(&devices_as_html(&session.devices().await?));
            page.push_str(&button("/sign-out", "Sign out"));
            page.push_str(&button("/sign-out-everywhere", "Sign out everywhere"));
        }
        None => page.push_str(
            "<form method=post action=/sign-in><input name=name required maxlength=100 placeholder=Name>\
             <button>Sign in</button></form>",
        ),
    }
    page.push_str("<h2>Cart</h2><ul>");
    for item in &cart.items {
        let _ = write!(page, "<li>{}</li>", escaped(item));
    }
    page.push_str("</ul><form method=post action=/cart><input name=item required maxlength=100><button>Add</button></form>");
    Ok((no_store(), Html(page)))
}

async fn sign_in(
    SignInSession(session): SignInSession,
    Form(form): Form<SignIn>,
) -> Result<impl IntoResponse, Error> {
    session.sign_in(form.name.trim())?;
    session.set("flash", "Welcome. Your cart came along.")?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<impl IntoResponse, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

async fn sign_out_everywhere(session: Session) -> Result<impl IntoResponse, Error> {
    let ended = session.revoke_all().await?;
    tracing::info!(ended, "signed out everywhere");
    Ok(Redirect::to("/"))
}

async fn add_to_cart(session: Session, Form(form): Form<Item>) -> Result<impl IntoResponse, Error> {
    let mut cart = session.value::<Cart>()?.unwrap_or_default();
    cart.items.push(form.item);
    session.put(&cart)?;
    Ok(Redirect::to("/"))
}

async fn devices(session: Session) -> Result<Json<Vec<SignedInDevice>>, Error> {
    session.devices().await.map(Json)
}

async fn end_device(session: Session, Path(handle): Path<String>) -> Result<impl IntoResponse, Error> {
    if let Some(handle) = DeviceHandle::parse(&handle) {
        session.revoke(&handle).await?;
    }
    Ok(Redirect::to("/"))
}

fn devices_as_html(devices: &[SignedInDevice]) -> String {
    let mut list = String::from("<h2>Devices</h2><ul>");
    for device in devices {
        let agent = escaped(device.agent.as_deref().unwrap_or("unknown browser"));
        let address = device.address.as_deref().unwrap_or("unknown address");
        let this = if device.this_device { " <b>this device</b>" } else { "" };
        let end = button(&format!("/devices/{}", device.handle), "End");
        let _ = write!(list, "<li>{agent}, {address}, last seen {}{this} {end}</li>", device.last_seen);
    }
    list.push_str("</ul>");
    list
}

fn button(action: &str, label: &str) -> String {
    format!("<form method=post action=\"{action}\" style=display:inline><button>{label}</button></form>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page with a name and a cart on it is nobody else's.
fn no_store() -> [(HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}
