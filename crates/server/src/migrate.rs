//! `sessile migrate`: create what is missing, show what is there, or print the SQL for somebody who owns the tables.

use crate::cli::{MigrateAction, MigrateArgs};
use crate::config::Config;
use crate::exit::Stop;
use crate::stores::{Stores, ledger_options, options_for};
use sessile_core::SystemClock;
use sessile_store::ledger::{LedgerFacts, PostgresLedger, SqliteLedger};
use sessile_store::postgres::PostgresLogins;
use sessile_store::users::SqliteUsers;
use sessile_store::{StoreUrl, sqlite};
use std::sync::Arc;

/// Does what was asked.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn run(config: &Config, args: &MigrateArgs) -> Result<(), Stop> {
    if args.print_sql {
        print!("{}", sql(config)?);
        return Ok(());
    }
    match args.action.unwrap_or(MigrateAction::Up) {
        MigrateAction::Up => {
            let stores = Stores::open(config, Arc::new(SystemClock)).await?;
            let info = stores.logins.info();
            println!("{} ({}) is up to date", info.place, info.engine);
            if stores.ledger.is_some() {
                println!("checkouts and payments are up to date");
            }
            Ok(())
        }
        MigrateAction::Status => status(config).await,
    }
}

fn sql(config: &Config) -> Result<String, Stop> {
    let options = options_for(&config.store.login, &config.login_options);
    let logins = match &config.store.login {
        StoreUrl::Postgres(_) => PostgresLogins::sql(&options)?,
        StoreUrl::Sqlite(_) => sqlite::SCHEMA.to_owned(),
        StoreUrl::Redis(_) | StoreUrl::Memory => "-- login sessions need no tables here\n".to_owned(),
    };
    let users = match &config.store.users {
        // Users first: the ledger keeps tiers in their table.
        StoreUrl::Postgres(_) => PostgresLedger::sql(&ledger_options(config))?,
        StoreUrl::Sqlite(_) => SqliteLedger::sql(&ledger_options(config))?,
        StoreUrl::Redis(_) => SqliteUsers::sql(&config.users_table)?,
        StoreUrl::Memory => "-- they need no tables here\n".to_owned(),
    };
    Ok(format!("-- login sessions\n{logins}\n-- users, checkouts and payments\n{users}"))
}

async fn status(config: &Config) -> Result<(), Stop> {
    match &config.store.login {
        StoreUrl::Postgres(url) => {
            let facts = PostgresLogins::inspect(url, &config.login_options).await?;
            let exists = if facts.table_exists { "exists" } else { "is missing" };
            let version =
                facts.schema_version.map_or_else(|| "none yet".to_owned(), |version| version.to_string());
            println!(
                "{}: {} {exists}, schema version {version}, TimeZone {}",
                facts.place, facts.table, facts.time_zone
            );
        }
        StoreUrl::Sqlite(path) if path.exists() => {
            println!(
                "{} exists; this program's schema version is {}",
                path.display(),
                sqlite::SCHEMA_VERSION
            );
        }
        StoreUrl::Sqlite(path) => {
            println!("{} does not exist yet; it is made at the first start", path.display())
        }
        StoreUrl::Redis(_) | StoreUrl::Memory => println!("{:?} needs no tables", config.store.login),
    }
    ledger_status(config).await
}

async fn ledger_status(config: &Config) -> Result<(), Stop> {
    if let StoreUrl::Postgres(url) = &config.store.users {
        let facts = LedgerFacts::of(url, &ledger_options(config)).await?;
        let missing = facts.missing();
        if missing.is_empty() {
            println!("{}: checkouts and payments have all {} tables", facts.place, facts.tables.len());
        } else {
            println!("{}: checkouts and payments miss {}", facts.place, missing.join(", "));
        }
    }
    Ok(())
}
