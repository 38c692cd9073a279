//! A stand-in for Whop's OAuth 2.1 + PKCE + OpenID Connect endpoints.
//!
//! It checks what the real one checks: registered client, exact redirect, `openid` scope, state, nonce, S256, JSON
//! bodies, single-use codes, rotating refresh tokens. Its signing key is made at start and lives in memory only.

mod authorize;
mod config;
mod control;
mod discovery;
mod error;
mod grants;
mod keys;
mod misbehaviour;
mod pages;
mod people;
mod state;
mod token;
mod userinfo;

pub use crate::clock::{Clock, system_clock};
pub use config::{TokenBodies, WhopConfig};
pub use misbehaviour::{Misbehaviour, Switch, TIMES_MAX};
pub use state::{Whop, WhopControl};
