//! Sessions in any tower or axum application that outlive restarts, races and outages.
//!
//! A [`SessionLayer`] finds the visitor's session by its signed cookie before the handler runs and commits what
//! changed before the first byte of the answer leaves. The cookie, the stored JSON and the rules are those of
//! express-session, so an Express application can serve the same visitors from the same store at the same time.
//!
//! - **Nothing comes back after a log-out**, also when another request writes at that moment.
//! - **Parallel requests merge**: twenty requests that each set their own key leave twenty keys.
//! - **A redirect never overtakes the write** it relies on.
//! - **Nobody is logged out by an outage**: a store that does not answer is a 503, never an empty session.
//! - **A lost session is explained** in the log: no cookie, bad signature, unknown, expired, ended, store down.
//!
//! ```
//! use axum::{Router, routing::{get, post}};
//! use sessile::{Error, SecretList, Session, SessionLayer, SignInSession};
//! use sessile_store::{LoginOptions, memory::MemoryLogins};
//! use std::sync::Arc;
//!
//! async fn home(session: Session) -> String {
//!     match session.user() {
//!         Some(user) => format!("Hello {user}"),
//!         None => "Hello stranger".to_owned(),
//!     }
//! }
//!
//! async fn sign_in(SignInSession(session): SignInSession, name: String) -> Result<&'static str, Error> {
//!     session.sign_in(&name)?; // a new id, and the user under `userId`
//!     Ok("welcome")
//! }
//!
//! async fn sign_out(session: Session) -> Result<&'static str, Error> {
//!     session.destroy()?;
//!     Ok("good-bye")
//! }
//!
//! fn app() -> Result<Router, Box<dyn std::error::Error>> {
//!     // Sessions in memory end with the process: take `sqlite`, `postgres` or `redis` of `sessile_store`.
//!     let store = Arc::new(MemoryLogins::new(LoginOptions::default()));
//!     let secrets = SecretList::parse("change-me-to-thirty-two-characters-or-more")?;
//!     secrets.require_strong()?;
//!     let sessions = SessionLayer::builder(store, secrets).build()?;
//!     let same_origin = sessions.same_origin();
//!     Ok(Router::new()
//!         .route("/", get(home))
//!         .route("/sign-in", post(sign_in))
//!         .route("/sign-out", post(sign_out))
//!         .layer(sessions)
//!         .layer(same_origin))
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     use axum::{body::Body, http::Request};
//! #     use tower::ServiceExt as _;
//! #     tokio::runtime::Runtime::new()?.block_on(async {
//! #         let post = Request::post("/sign-in").body(Body::from("Ada"))?;
//! #         let app = app()?;
//! #         let answer = app.clone().oneshot(post).await?;
//! #         let cookie = answer.headers()["set-cookie"].to_str()?.split(';').next().unwrap().to_owned();
//! #         let get = Request::get("/").header("cookie", cookie).body(Body::empty())?;
//! #         let body = axum::body::to_bytes(app.oneshot(get).await?.into_body(), 1000).await?;
//! #         assert_eq!(body, "Hello Ada");
//! #         Ok(())
//! #     })
//! # }
//! ```
//!
//! Give the server [`into_make_service_with_connect_info`] so that the device list knows where a session began:
//! the layer reads axum's `ConnectInfo<SocketAddr>`, or a plain [`std::net::SocketAddr`] extension.
//!
//! [`into_make_service_with_connect_info`]: https://docs.rs/axum/latest/axum/struct.Router.html#method.into_make_service_with_connect_info

mod cookie_header;
mod devices;
mod error;
mod extract;
mod held;
mod layer;
mod problem;
mod proxy;
mod same_origin;
mod service;
mod session;
mod set_cookie;
mod shared;
mod typed;
mod visitor;

pub use cookie_header::{COOKIES_TRIED_MAX, CookieValues, cookie_values};
pub use devices::SignedInDevice;
pub use error::Error;
pub use extract::SignInSession;
pub use layer::{Expiry, SessionLayer, SessionLayerBuilder};
pub use problem::{PROBLEM_CODES, Problem};
pub use proxy::TrustProxy;
pub use same_origin::{NotAnOrigin, SameOriginLayer, SameOriginService};
pub use service::SessionService;
pub use session::Session;
pub use typed::SessionKey;
pub use visitor::AGENT_CHARS_MAX;

pub use sessile_core::login::{
    CookieFault, CookiePolicy, CookieRule, CookieSigner, DataError, DeviceHandle, Fingerprint, LoginError,
    LoginPolicy, LoginStore, Logins, Lost, Removed, Revoked, SameSite, SignedBy, SignedId, Switch, Unset,
    UserId,
};
pub use sessile_core::{
    Clock, Entropy, ManualClock, OsEntropy, Secret, SecretList, StoreError, SystemClock, Timestamp,
    WeakSecret,
};

/// The README's code has to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
