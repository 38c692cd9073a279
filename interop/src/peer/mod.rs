//! A small axum application on the library `sessile`, with the routes of `interop/express/app.js`.
//!
//! The tests put it beside the Express application on the same table or keys, or start many of it and kill some.
//! It must stay ordinary: what an application would not write does not belong here, and neither does anything that
//! makes the library look better than it is.

mod app;
mod body;
mod process;
mod settings;

pub use self::app::{PeerError, serve};
pub use self::process::PeerApp;
pub use self::settings::{Settings, SettingsError};
