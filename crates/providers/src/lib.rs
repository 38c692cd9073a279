//! Whom Sessile talks to: clients of its providers.
//!
//! [`sign_in`] signs people in with Whop or with any OpenID Connect provider; [`click`] speaks CLICK's payment protocol;
//! [`stripe`] opens payment pages and reads Stripe's events; [`superduperai`] makes the videos that were paid for;
//! [`webhook`] tells the application what happened; [`supabase`] keeps a user's tier where Supabase keeps the user.
//! A client here speaks one provider's protocol and maps its failures to one error enum; it never stores anything,
//! never decides about a session, and never puts a secret into a log, a URL or an error.

pub mod click;
mod outgoing;
pub mod reach;
pub mod sign_in;
pub mod stripe;
pub mod supabase;
pub mod superduperai;
pub mod tls;
mod transport;
pub mod webhook;

pub use sign_in::{Identity, PendingSignIn, ProviderConfig, SignIn, SignInError};
pub use transport::{ClientError, HttpFailure, Timeouts};
