//! The program `sessile`: configuration, routes, pages and commands around the login sessions of `sessile`.
//!
//! `main` calls [`run`]; the tests build an [`App`] and serve its [`router`]. Only `stores` knows engines; `http`
//! sees the core and the session layer.

mod admin;
mod app;
pub mod audit;
pub mod cli;
pub mod config;
mod copy;
mod dev;
pub mod doctor;
mod exit;
mod generation;
mod http;
mod inspect;
mod keys;
pub mod limits;
mod logging;
mod migrate;
mod money;
mod pages;
mod serve;
mod stores;
mod sweeper;
pub mod telemetry;
mod tour;
mod whatsapp;
pub mod worker;

pub use app::{App, Parts};
pub use exit::{Exit, Stop};
pub use http::{PROBLEM_CODES, router};
pub use money::{Click, Money, MoneyParts};
pub use serve::{accept, listen};
pub use stores::{DeviceStores, Stores};

use clap::Parser as _;
use cli::{Cli, Command};
use config::{Config, Overrides};
use sessile_core::SystemClock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the command line of this process to its end.
pub async fn run() -> Exit {
    let cli = Cli::parse();
    // Variables that are not UTF-8 are none of ours.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    match Box::pin(command(cli, env.collect())).await {
        Ok(exit) => exit,
        Err(stop) => {
            for sentence in stop.sentence.lines() {
                eprintln!("sessile: {sentence}");
            }
            stop.exit
        }
    }
}

async fn command(cli: Cli, env: BTreeMap<String, String>) -> Result<Exit, Stop> {
    let overrides = Overrides { file: cli.config, development: false };
    match cli.command {
        Command::Serve => {
            let config = started(&env, &overrides)?;
            let listener = serve::listen(&config.host, config.port_or_default()).await?;
            serve::serve(&config, listener, serve::asked_to_stop()).await?;
        }
        Command::Dev => Box::pin(dev::run(env, overrides)).await?,
        Command::Sweep(args) => {
            let config = started(&env, &overrides)?;
            let stores = Stores::open(&config, Arc::new(SystemClock)).await?;
            sweeper::once(&config, stores, &args).await?;
        }
        Command::Worker => {
            let config = started(&env, &overrides)?;
            worker::alone(&config, serve::asked_to_stop()).await?;
        }
        Command::Audit(cli::AuditArgs { action: cli::AuditAction::Verify { json } }) => {
            return audit::run(&started(&env, &overrides)?, json).await;
        }
        Command::Inspect(args) => {
            return inspect::run(&started(&env, &overrides)?, &args).await;
        }
        Command::Doctor(args) => {
            logging::start(&config::LogConfig {
                filter: "warn".to_owned(),
                ..Config::log_of(&env, &overrides)
            });
            return doctor::run(&env, &overrides, args.json).await;
        }
        Command::Keys(cli::KeysArgs { action: cli::KeysAction::Rotate { json } }) => {
            return Box::pin(keys::rotate(&started(&env, &overrides)?, json)).await;
        }
        Command::Completions { shell } => shell.write(&mut std::io::stdout()),
        Command::Copy(args) => {
            // A copy signs nothing and serves nobody: secrets that production demands are not missed.
            let config = started(&env, &Overrides { development: true, ..overrides })?;
            return Box::pin(copy::run(&config, &args)).await;
        }
        Command::Migrate(args) => {
            let config = started(&env, &overrides)?;
            migrate::run(&config, &args).await?;
        }
    }
    Ok(Exit::Done)
}

fn started(env: &BTreeMap<String, String>, overrides: &Overrides) -> Result<Config, Stop> {
    let config = Config::load(env, overrides)?;
    logging::start(&config.log);
    Ok(config)
}
