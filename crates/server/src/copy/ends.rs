//! Opening the two ends: the source as it is, the destination with its tables made.

use crate::cli::{CopyArgs, CopyLayout};
use crate::config::Config;
use crate::exit::Stop;
use crate::stores::{ledger_options, options_for};
use sessile_core::login::Names;
use sessile_store::ledger::{LedgerEnd, LedgerOptions, open_ledger_end};
use sessile_store::{Choice, Layout, LoginEnd, LoginOptions, OpenError, StoreUrl, open_login_end};
use std::sync::Arc;

/// Which end is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    From,
    To,
}

impl Side {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::From => "--from",
            Self::To => "--to",
        }
    }

    /// A source is never changed, so nothing is made there.
    pub(super) const fn create(self) -> Choice {
        match self {
            Self::From => Choice::No,
            Self::To => Choice::Yes,
        }
    }
}

/// An error with the end that it is about.
pub(super) fn at(side: Side) -> impl Fn(OpenError) -> Stop {
    move |error| {
        let Stop { sentence, exit } = Stop::from(error);
        let sentence = sentence.trim_start_matches("session storage: ");
        Stop { sentence: format!("{}: {sentence}", side.name()), exit }
    }
}

/// Both homes of login sessions.
///
/// # Errors
/// [`Stop`] when one cannot be opened, or when ids would have to come out of hashes.
pub(super) async fn logins(
    config: &Config,
    args: &CopyArgs,
) -> Result<(Arc<dyn LoginEnd>, Arc<dyn LoginEnd>), Stop> {
    let from = login(config, &args.from, Side::From, args.from_layout, args.from_table.as_deref()).await?;
    let to = login(config, &args.to, Side::To, args.to_layout, args.to_table.as_deref()).await?;
    if (from.names(), to.names()) == (Names::Hashed, Names::Plain) {
        return Err(Stop::usage(format!(
            "--from ({}) keeps only hashes of session ids, and --to ({}) needs the ids themselves, which no hash gives \
             back. Copy into hashed ids with --to-layout stand-alone, and set SESSILE_LOGIN_LAYOUT=stand-alone where \
             they are served; an Express application cannot share them",
            from.info().place,
            to.info().place
        )));
    }
    Ok((from, to))
}

async fn login(
    config: &Config,
    url: &str,
    side: Side,
    layout: Option<CopyLayout>,
    table: Option<&str>,
) -> Result<Arc<dyn LoginEnd>, Stop> {
    let options = LoginOptions {
        create: side.create(),
        // Nobody is told that a session moved.
        events: Choice::No,
        layout: layout.map_or(config.login_options.layout, Layout::from),
        table: table.map(str::to_owned).or_else(|| config.login_options.table.clone()),
        ..config.login_options.clone()
    };
    let parsed = StoreUrl::parse(url).map_err(at(side))?;
    open_login_end(url, &options_for(&parsed, &options)).await.map_err(at(side))
}

/// A ledger.
///
/// # Errors
/// [`OpenError`] says what to do.
pub(super) async fn ledger(config: &Config, url: &str, side: Side) -> Result<Arc<dyn LedgerEnd>, OpenError> {
    let options = LedgerOptions { create: side.create(), ..ledger_options(config) };
    open_ledger_end(url, &options).await
}

impl From<CopyLayout> for Layout {
    fn from(layout: CopyLayout) -> Self {
        match layout {
            CopyLayout::Shared => Self::Shared,
            CopyLayout::StandAlone => Self::StandAlone,
        }
    }
}
