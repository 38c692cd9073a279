//! The peer's settings, all from the environment, with the names of the Express application where both have one.

use std::{path::PathBuf, time::Duration};

use sessile_store::{Choice, Layout, LoginOptions};

/// What the peer is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STORE_URL`: where sessions live, as `sessile_store::open_logins` reads it.
    pub store_url: String,
    /// `SESSION_SECRET`: `new,old,older`.
    pub secrets: String,
    /// `COOKIE_NAME` (`sid`).
    pub cookie_name: String,
    /// `MAX_AGE_MS`: idle timeout and the cookie's lifetime; unset: until the browser closes, as with Express.
    pub max_age: Option<Duration>,
    /// `TOUCH_INTERVAL_MS`; unset: the library's own.
    pub touch_interval: Option<Duration>,
    /// `ROLLING` (`true`).
    pub rolling: bool,
    /// `SECURE` (`false`): the cookie is for https only.
    pub secure: bool,
    /// `SPOOL`: a file that stands in while the store is away.
    pub spool: Option<PathBuf>,
    /// `PORT` (0: any free one).
    pub port: u16,
    /// `TABLE`, `LAYOUT`, `EVENTS`, `GUARD`.
    pub options: LoginOptions,
}

/// A setting that is missing or not understood.
#[derive(Debug, thiserror::Error)]
#[error("set {name} to {wanted}")]
pub struct SettingsError {
    name: &'static str,
    wanted: &'static str,
}

impl Settings {
    /// Reads them from `lookup`, for instance the process's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the first that is wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let text = |name| lookup(name).filter(|value| !value.is_empty());
        let required = |name, wanted| text(name).ok_or(SettingsError { name, wanted });
        let duration = |name| {
            let parsed = text(name).map(|value| value.parse().map(Duration::from_millis));
            let wanted = "a number of milliseconds";
            parsed.transpose().map_err(|_| SettingsError { name, wanted })
        };
        let is = |name, default| match text(name).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(SettingsError { name, wanted: "true or false" }),
        };
        let choice = |name, default| is(name, default).map(|yes| if yes { Choice::Yes } else { Choice::No });
        let layout = match text("LAYOUT").as_deref() {
            None | Some("shared") => Layout::Shared,
            Some("stand-alone") => Layout::StandAlone,
            Some(_) => return Err(SettingsError { name: "LAYOUT", wanted: "shared or stand-alone" }),
        };
        let port = text("PORT").map_or(Ok(0), |port| port.parse());
        Ok(Self {
            store_url: required("STORE_URL", "postgres://…, redis://…, sqlite:<path> or memory:")?,
            secrets: required("SESSION_SECRET", "one secret, or new,old")?,
            cookie_name: text("COOKIE_NAME").unwrap_or_else(|| "sid".to_owned()),
            max_age: duration("MAX_AGE_MS")?,
            touch_interval: duration("TOUCH_INTERVAL_MS")?,
            rolling: is("ROLLING", true)?,
            secure: is("SECURE", false)?,
            spool: text("SPOOL").map(PathBuf::from),
            port: port.map_err(|_| SettingsError { name: "PORT", wanted: "a port number" })?,
            options: LoginOptions {
                table: text("TABLE"),
                layout,
                events: choice("EVENTS", false)?,
                guard: choice("GUARD", true)?,
                ..LoginOptions::default()
            },
        })
    }
}
