//! The program's configuration: read once at the start, checked as a whole, then never changed.
//!
//! Everything wrong is told at once, one sentence each with the remedy; no sentence repeats a secret or an address
//! with a password. `serve`, `dev` and `doctor` start here.

mod cookie;
mod generation;
mod money;
mod names;
mod provider;
mod secrets;
mod source;
mod store;
mod whatsapp;

pub use generation::{Configured, GenerationConfig};
pub use money::{ApiKeys, Click, LateCancel, MoneyConfig, Supabase, Webhook};
pub use provider::{Providers, Whop};
pub use secrets::{Kept, KeptError, SealingSource, SecretSource, keep};
pub use store::{Disk, StoreChoice, Warning};
pub use whatsapp::{DevicesPlace, Moves, Nodes, WhatsAppConfig};

use crate::tour::{Line, Tour};
use sessile::{LoginPolicy, TrustProxy};
use sessile_core::{SealingKeys, Secret};
use sessile_store::{Choice, Layout, LoginOptions};
use source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Whether this is the real thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is assumed, nothing is generated that others have to share, no development routes.
    Production,
    /// On somebody's own machine.
    Development,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Log settings; read before anything else can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `tracing` filter.
    pub filter: String,
    /// The form.
    pub format: LogFormat,
}

/// Everything the program was told.
#[derive(Debug)]
pub struct Config {
    /// Production or development.
    pub mode: Mode,
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; `None`: 3000 in production, the first free one from 3000 in `dev`.
    pub port: Option<u16>,
    /// Where browsers reach us.
    pub app_url: Option<Url>,
    /// Secrets, the embedded database and the spool live here.
    pub data_dir: PathBuf,
    /// Where sessions live, and what is to be said about that.
    pub store: StoreChoice,
    /// How they live there.
    pub login_options: LoginOptions,
    /// The users table.
    pub users_table: String,
    /// Cookie and lifetimes.
    pub policy: LoginPolicy,
    /// What is believed of the way to the browser.
    pub trust_proxy: TrustProxy,
    /// Origins besides our own whose pages may change things.
    pub allowed_origins: Vec<String>,
    /// What signs cookies.
    pub session_secret: SecretSource,
    /// What seals refresh tokens; without it none is kept.
    pub sealing: Option<SealingKeys>,
    /// The operator's token, where one is configured.
    pub admin_token: Option<Secret>,
    /// Whom people sign in with.
    pub providers: Providers,
    /// Checkouts and payments.
    pub money: MoneyConfig,
    /// Paid jobs.
    pub generation: GenerationConfig,
    /// WhatsApp devices.
    pub whatsapp: WhatsAppConfig,
    /// How often expired sessions are removed.
    pub prune_interval: Duration,
    /// Log settings.
    pub log: LogConfig,
    /// Names and addresses of the stand-in providers that `sessile dev` runs beside us.
    pub stand_ins: Vec<(String, String)>,
    /// The tour that `sessile dev` gives; nobody else has one.
    pub(crate) tour: Option<Arc<Tour>>,
    /// `SESSILE_…` variables that mean nothing.
    pub strangers: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// What was wrong, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// What the command line says of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `sessile dev`.
    pub development: bool,
}

impl Config {
    /// Reads file and environment.
    ///
    /// # Errors
    /// [`ConfigError`]: every sentence says what to do.
    pub fn load(env: &BTreeMap<String, String>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let source = Source::read(env, overrides.file.as_deref());
        let mode = mode(&source, overrides);
        let port = source.number("PORT", 1, 65_535).and_then(|port| u16::try_from(port).ok());
        let app_url = app_url(&source);
        let data_dir = PathBuf::from(source.get("SESSILE_DATA_DIR").unwrap_or("data"));
        let disk = Disk::of(env);
        let store = store::choose(&source, mode, &data_dir, &disk);
        let config = Self {
            mode,
            host: source.get("HOST").map_or_else(|| default_host(mode).to_owned(), str::to_owned),
            port,
            generation: generation::generation(&source, mode, &store, app_url.as_ref(), port),
            whatsapp: whatsapp::whatsapp(&source, mode, &store, &disk, &data_dir),
            store,
            login_options: login_options(&source),
            users_table: source
                .get("SESSILE_USERS_TABLE")
                .unwrap_or(sessile_store::users::USERS_TABLE)
                .to_owned(),
            policy: cookie::policy(&source, mode),
            trust_proxy: trust_proxy(&source),
            allowed_origins: cookie::allowed_origins(&source),
            session_secret: secrets::session_secret(&source, mode, &data_dir),
            sealing: secrets::sealing(&source),
            admin_token: secrets::admin_token(&source),
            providers: provider::providers(&source, mode, app_url.as_ref(), port),
            money: money::money(&source),
            prune_interval: Duration::from_secs(
                source.number("SESSILE_PRUNE_SECONDS", 1, YEAR_SECONDS).unwrap_or(900),
            ),
            log: log(&source, mode),
            stand_ins: Vec::new(),
            tour: None,
            strangers: source.strangers.clone(),
            file: source.file.clone(),
            app_url,
            data_dir,
        };
        let problems = source.problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// Log settings alone, as far as they can be read: they are needed to report that the rest cannot.
    #[must_use]
    pub fn log_of(env: &BTreeMap<String, String>, overrides: &Overrides) -> LogConfig {
        let source = Source::read(env, overrides.file.as_deref());
        log(&source, mode(&source, overrides))
    }

    /// The port that `serve` listens on.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// What stands between the stores and their engines, where the tour can cut it.
    pub(crate) fn line(&self) -> Option<&Arc<Line>> {
        self.tour.as_ref().map(|tour| tour.line())
    }

    /// A file in the data folder.
    #[must_use]
    pub fn in_data(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }
}

/// Where we listen unless told otherwise.
pub const DEFAULT_PORT: u16 = 3000;
pub(crate) const YEAR_SECONDS: u64 = 366 * 86_400;

fn mode(source: &Source, overrides: &Overrides) -> Mode {
    if overrides.development {
        return Mode::Development;
    }
    let words =
        [("development", Mode::Development), ("dev", Mode::Development), ("production", Mode::Production)];
    match source.get("SESSILE_ENV") {
        Some(_) => source.word("SESSILE_ENV", &words).unwrap_or(Mode::Production),
        // Other programs' values (`test`, `staging`) are theirs: anything that is not development is production.
        None if source.get("NODE_ENV").is_some_and(|env| env.eq_ignore_ascii_case("development")) => {
            Mode::Development
        }
        None => Mode::Production,
    }
}

const fn default_host(mode: Mode) -> &'static str {
    match mode {
        Mode::Production => "0.0.0.0",
        Mode::Development => "127.0.0.1",
    }
}

fn app_url(source: &Source) -> Option<Url> {
    let text = source.get("APP_URL")?;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        source.complain("APP_URL has to be the address that browsers open, such as https://app.example.com");
    }
    url
}

fn login_options(source: &Source) -> LoginOptions {
    let choice = |name: &str, default| match source.yes_or_no(name) {
        Some(true) => Choice::Yes,
        Some(false) => Choice::No,
        None => default,
    };
    let layouts = [("shared", Layout::Shared), ("stand-alone", Layout::StandAlone)];
    LoginOptions {
        events: choice("SESSILE_EVENTS", Choice::No),
        layout: source.word("SESSILE_LOGIN_LAYOUT", &layouts).unwrap_or(Layout::Shared),
        schema: source.get("SESSILE_LOGIN_SCHEMA").map(str::to_owned),
        table: source.get("SESSILE_LOGIN_TABLE").map(str::to_owned),
        ..LoginOptions::default()
    }
}

fn trust_proxy(source: &Source) -> TrustProxy {
    let words = [
        ("assume-https", TrustProxy::AssumeHttps),
        ("yes", TrustProxy::Yes),
        ("true", TrustProxy::Yes),
        ("1", TrustProxy::Yes),
        ("no", TrustProxy::No),
        ("false", TrustProxy::No),
        ("0", TrustProxy::No),
    ];
    source.word("SESSILE_TRUST_PROXY", &words).unwrap_or_default()
}

fn log(source: &Source, mode: Mode) -> LogConfig {
    let default = match mode {
        Mode::Production => LogFormat::Json,
        Mode::Development => LogFormat::Text,
    };
    let words = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    LogConfig {
        filter: source.get("SESSILE_LOG").unwrap_or("info").to_owned(),
        format: source.word("SESSILE_LOG_FORMAT", &words).unwrap_or(default),
    }
}

/// Whether files can be made in a folder; creates it where it is missing.
pub(crate) fn is_writable(folder: &Path) -> bool {
    std::fs::create_dir_all(folder).is_ok()
        && std::fs::metadata(folder).is_ok_and(|meta| !meta.permissions().readonly())
        && probe(folder).is_ok()
}

fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".sessile-probe-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}

#[cfg(test)]
mod tests;
