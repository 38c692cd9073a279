//! Signing people in: OAuth 2.1 authorization code with PKCE, and OpenID Connect, on the `openidconnect` crate.
//!
//! The server calls [`SignIn::begin`] at `/auth/whop`, keeps the [`PendingSignIn`] in the login session, compares the
//! callback's state with [`PendingSignIn::state_matches`], and calls [`SignIn::finish`]. Signatures, nonces and claims
//! are verified by the crate, never by hand.

mod clock;
mod config;
mod directory;
mod error;
mod flow;
mod http_client;
mod identity;
mod pending;
mod revocation;
mod verify;

pub use crate::transport::{HttpFailure, Timeouts};
pub use clock::{Clock, system_clock};
pub use config::{ConfigError, Endpoints, ProviderConfig, WHOP_BASE_URL};
pub use directory::{PROVIDER_LIFETIME, PROVIDER_STALE_MAX};
pub use error::{IdTokenFault, SignInError, Step};
pub use flow::SignIn;
pub use identity::Identity;
pub use pending::{PENDING_LIFETIME, PendingSignIn};
