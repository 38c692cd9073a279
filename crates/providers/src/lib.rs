//! Whom Sessile talks to: clients of its providers.
//!
//! [`sign_in`] signs people in with Whop or with any OpenID Connect provider. A client here speaks one provider's
//! protocol and maps its failures to one error enum; it never stores anything, never decides about a session, and
//! never puts a secret into a log, a URL or an error.

pub mod sign_in;
pub mod tls;

pub use sign_in::{Identity, PendingSignIn, ProviderConfig, SignIn, SignInError};
