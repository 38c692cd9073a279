//! `sessile migrate`: create what is missing, show what is there, or print the SQL for somebody who owns the tables.

use crate::cli::{MigrateAction, MigrateArgs};
use crate::config::Config;
use crate::exit::Stop;
use crate::stores::{Stores, options_for};
use sessile_core::SystemClock;
use sessile_store::postgres::PostgresLogins;
use sessile_store::users::{PostgresUsers, SqliteUsers};
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
        StoreUrl::Postgres(_) => PostgresUsers::sql(&config.users_table)?,
        StoreUrl::Sqlite(_) | StoreUrl::Redis(_) => SqliteUsers::sql(&config.users_table)?,
        StoreUrl::Memory => "-- users need no tables here\n".to_owned(),
    };
    Ok(format!("-- login sessions\n{logins}\n-- users\n{users}"))
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
    Ok(())
}
