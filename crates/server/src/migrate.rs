//! `sessile migrate`: create what is missing, show what is there, or print the SQL for somebody who owns the tables.

use crate::cli::{DevicesTo, MigrateAction, MigrateArgs};
use crate::config::{Config, DevicesPlace};
use crate::exit::Stop;
use crate::stores::{Stores, Towards, ledger_options, look_at_devices, move_devices, options_for};
use serde_json::json;
use sessile_core::SystemClock;
use sessile_store::generation::redis::RedisFacts;
use sessile_store::generation::{PostgresGenerations, SqliteGenerations};
use sessile_store::ledger::{LedgerFacts, PostgresLedger, SqliteLedger};
use sessile_store::postgres::PostgresLogins;
use sessile_store::users::SqliteUsers;
use sessile_store::whatsapp::migration::Progress;
use sessile_store::whatsapp::{PostgresDevices, SqliteDevices, SupabaseDevices};
use sessile_store::{Choice, StoreUrl, sqlite};
use std::sync::Arc;

/// Characters of a bar that shows progress.
const BAR_CHARS: usize = 20;

/// Does what was asked.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn run(config: &Config, args: &MigrateArgs) -> Result<(), Stop> {
    if args.print_sql {
        print!("{}", sql(config)?);
        return Ok(());
    }
    if let Some(to) = args.to {
        return devices_to(config, to).await;
    }
    match args.action.unwrap_or(MigrateAction::Up) {
        MigrateAction::Up => {
            let stores = Stores::open(config, Arc::new(SystemClock)).await?;
            let info = stores.logins.info();
            println!("{} ({}) is up to date", info.place, info.engine);
            if stores.ledger.is_some() {
                println!("checkouts and payments are up to date");
            }
            if let Some(store) = look_at_devices(config, Arc::new(SystemClock), Choice::Yes).await? {
                let info = store.info();
                println!("WhatsApp devices ({} at {}) are up to date", info.engine, info.place);
            }
            if stores.generations.is_some() {
                println!("generation sessions are up to date");
            }
            Ok(())
        }
        MigrateAction::Status { json } => {
            let shown = status(config).await?;
            print!("{}", if json { as_json(&shown) } else { as_text(&shown) });
            Ok(())
        }
    }
}

/// Moves devices, and says how far it is.
async fn devices_to(config: &Config, to: DevicesTo) -> Result<(), Stop> {
    let (towards, setting) = match to {
        DevicesTo::Files => (Towards::Files, "file"),
        DevicesTo::Database if config.whatsapp.database_is_supabase() => (Towards::Database, "supabase"),
        DevicesTo::Database => (Towards::Database, "database"),
    };
    let mut bar = Bar::default();
    let (moved, place) =
        move_devices(config, towards, Arc::new(SystemClock), |progress| bar.show(progress)).await?;
    println!(
        "{} WhatsApp devices moved to {} ({}), {} had moved before",
        moved.moved.len(),
        place.place,
        place.engine,
        moved.were_there.len()
    );
    println!(
        "start the server with SESSILE_WHATSAPP_STORE={setting}; the other copy refuses to be used from now on"
    );
    Ok(())
}

/// A line for each thing that is done, and how much of it all that is.
#[derive(Debug, Default)]
struct Bar {
    all: usize,
    done: usize,
}

impl Bar {
    fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Found(all) => self.all = all,
            Progress::Read(device, rows) => self.say(&format!("{device}: {rows} keys read")),
            Progress::Copied(device, rows) => self.say(&format!("{device}: {rows} keys copied and compared")),
            Progress::Moved(device) => {
                self.done += 1;
                self.say(&format!("{device}: moved"));
            }
            Progress::WasThere(device) => {
                self.done += 1;
                self.say(&format!("{device}: had moved before"));
            }
        }
    }

    fn say(&self, what: &str) {
        let filled = (BAR_CHARS * self.done).checked_div(self.all).unwrap_or(BAR_CHARS).min(BAR_CHARS);
        let (full, empty) = ("#".repeat(filled), ".".repeat(BAR_CHARS - filled));
        eprintln!("[{full}{empty}] {}/{} {what}", self.done, self.all);
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
    let devices = match &config.whatsapp.place {
        Ok(DevicesPlace::Postgres { .. }) => format!("\n-- WhatsApp devices\n{}", PostgresDevices::sql()),
        Ok(DevicesPlace::Supabase { .. }) => {
            format!("\n-- WhatsApp devices\n{}\n{}", PostgresDevices::sql(), SupabaseDevices::sql())
        }
        Ok(DevicesPlace::Sqlite(_)) => format!("\n-- WhatsApp devices\n{}", SqliteDevices::sql()),
        Ok(DevicesPlace::Files(_)) | Err(_) => String::new(),
    };
    let jobs = generations(config)?;
    Ok(format!(
        "-- login sessions\n{logins}\n-- users, checkouts and payments\n{users}\n-- generation sessions\n{jobs}{devices}"
    ))
}

fn generations(config: &Config) -> Result<String, Stop> {
    Ok(match generation_store(config)? {
        Some(StoreUrl::Postgres(_)) => PostgresGenerations::SCHEMA.to_owned(),
        Some(StoreUrl::Sqlite(_)) => SqliteGenerations::schema(),
        Some(StoreUrl::Redis(_)) => "-- they need no tables: Redis keeps them\n".to_owned(),
        Some(StoreUrl::Memory) | None => "-- they are not configured, or not kept in memory\n".to_owned(),
    })
}

/// Where paid jobs are kept; `None` where they are not configured.
fn generation_store(config: &Config) -> Result<Option<StoreUrl>, Stop> {
    let settings = &config.generation;
    let url = settings.store.as_ref().filter(|_| settings.is_wanted());
    Ok(url.map(|url| StoreUrl::parse(url.expose())).transpose()?)
}

/// How the tables of one kind are.
struct Shown {
    kind: &'static str,
    /// Whether nothing is missing; `None`: there is nothing to be missing yet.
    current: Option<bool>,
    sentence: String,
}

impl Shown {
    fn new(kind: &'static str, current: Option<bool>, sentence: impl Into<String>) -> Self {
        Self { kind, current, sentence: sentence.into() }
    }
}

fn as_text(shown: &[Shown]) -> String {
    shown.iter().map(|one| format!("{}\n", one.sentence)).collect()
}

fn as_json(shown: &[Shown]) -> String {
    let kind = |one: &Shown| json!({ "kind": one.kind, "current": one.current, "what": one.sentence });
    format!("{}\n", json!({ "tables": shown.iter().map(kind).collect::<Vec<_>>() }))
}

async fn status(config: &Config) -> Result<Vec<Shown>, Stop> {
    let mut shown = vec![login_status(config).await?];
    shown.extend(ledger_status(config).await?);
    shown.push(generation_status(config).await?);
    Ok(shown)
}

async fn generation_status(config: &Config) -> Result<Shown, Stop> {
    let told = |current, sentence: String| Shown::new("generation", current, sentence);
    let has = |place: &str, current: bool| {
        let tables = if current { "have all their tables" } else { "miss tables or columns" };
        told(Some(current), format!("{place}: generation sessions {tables}"))
    };
    Ok(match generation_store(config)? {
        Some(StoreUrl::Postgres(url)) => {
            let (place, current) = PostgresGenerations::inspect(&url).await?;
            has(&place, current)
        }
        Some(StoreUrl::Sqlite(path)) if path.exists() => {
            has(&path.display().to_string(), SqliteGenerations::open(&path, Choice::No).is_ok())
        }
        Some(StoreUrl::Sqlite(path)) => {
            let path = path.display();
            told(None, format!("{path}: generation sessions get their tables at the first start"))
        }
        Some(StoreUrl::Redis(url)) => {
            let facts = RedisFacts::of(&url).await?;
            let (place, version) = (facts.place, facts.version);
            told(Some(true), format!("{place}: generation sessions need no tables (Redis {version})"))
        }
        Some(StoreUrl::Memory) | None => told(None, "generation sessions are not configured".to_owned()),
    })
}

async fn login_status(config: &Config) -> Result<Shown, Stop> {
    let told = |current, sentence: String| Shown::new("login", current, sentence);
    Ok(match &config.store.login {
        StoreUrl::Postgres(url) => {
            let facts = PostgresLogins::inspect(url, &config.login_options).await?;
            let exists = if facts.table_exists { "exists" } else { "is missing" };
            let version =
                facts.schema_version.map_or_else(|| "none yet".to_owned(), |version| version.to_string());
            told(
                Some(facts.table_exists && facts.schema_version.is_some()),
                format!(
                    "{}: {} {exists}, schema version {version}, TimeZone {}",
                    facts.place, facts.table, facts.time_zone
                ),
            )
        }
        StoreUrl::Sqlite(path) if path.exists() => {
            let (path, version) = (path.display(), sqlite::SCHEMA_VERSION);
            told(Some(true), format!("{path} exists; this program's schema version is {version}"))
        }
        StoreUrl::Sqlite(path) => {
            told(None, format!("{} does not exist yet; it is made at the first start", path.display()))
        }
        StoreUrl::Redis(_) | StoreUrl::Memory => {
            told(Some(true), format!("{:?} needs no tables", config.store.login))
        }
    })
}

async fn ledger_status(config: &Config) -> Result<Option<Shown>, Stop> {
    let StoreUrl::Postgres(url) = &config.store.users else { return Ok(None) };
    let facts = LedgerFacts::of(url, &ledger_options(config)).await?;
    let missing = facts.missing();
    let sentence = if missing.is_empty() {
        format!("{}: checkouts and payments have all {} tables", facts.place, facts.tables.len())
    } else {
        format!("{}: checkouts and payments miss {}", facts.place, missing.join(", "))
    };
    Ok(Some(Shown::new("checkout-payment", Some(missing.is_empty()), sentence)))
}
