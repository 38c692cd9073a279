//! What is measured: scenarios, contenders, and the targets their ratios are held against.
//!
//! Read by every other module. It holds no numbers of its own but the targets.

use clap::ValueEnum;

/// One thing to measure, through HTTP unless the contender is a store's own benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    LoadPostgres,
    TouchPostgres,
    SetPostgres,
    LoadPostgresOne,
    LoadRedis,
    SetRedis,
    LoadSqlite,
    SetSqlite,
    LoadPostgresNever,
    LoadPostgresMillion,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Contender {
    Ours,
    Tower,
    Express,
    PgbenchPrepared,
    PgbenchSimple,
    RedisBenchmark,
}

/// What `--apps` chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum App {
    Ours,
    Tower,
    Express,
    Pgbench,
    RedisBenchmark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Store {
    Postgres,
    Redis,
    Sqlite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Touch {
    Interval,
    Always,
    Never,
}

/// How many sessions are stored beside those that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stored {
    Seeded,
    Million,
}

/// One server process: the same contender may run several, each with its own database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Server {
    pub(crate) contender: Contender,
    pub(crate) store: Store,
    pub(crate) touch: Touch,
    pub(crate) stored: Stored,
}

/// The smallest ratio that satisfies, of ours in `ours` to `of` in `against`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) ours: Scenario,
    pub(crate) against: Scenario,
    pub(crate) of: Contender,
    pub(crate) at_least: f64,
}

pub(crate) const TARGETS: &[Target] = &[
    target(Scenario::LoadPostgres, Contender::Tower, 4.0),
    target(Scenario::LoadPostgres, Contender::Express, 20.0),
    target(Scenario::LoadPostgres, Contender::PgbenchPrepared, 1.0),
    target(Scenario::LoadPostgres, Contender::PgbenchSimple, 1.0),
    target(Scenario::TouchPostgres, Contender::Tower, 5.0),
    target(Scenario::TouchPostgres, Contender::Express, 10.0),
    target(Scenario::SetPostgres, Contender::Tower, 4.0),
    target(Scenario::SetPostgres, Contender::Express, 10.0),
    target(Scenario::LoadRedis, Contender::Tower, 1.5),
    target(Scenario::LoadRedis, Contender::Express, 12.0),
    target(Scenario::LoadSqlite, Contender::Tower, 3.0),
    target(Scenario::SetSqlite, Contender::Tower, 6.0),
    target(Scenario::LoadPostgresOne, Contender::Tower, 1.2),
    Target {
        ours: Scenario::LoadPostgres,
        against: Scenario::LoadPostgresNever,
        of: Contender::Ours,
        at_least: 0.9,
    },
    Target {
        ours: Scenario::LoadPostgresMillion,
        against: Scenario::LoadPostgres,
        of: Contender::Ours,
        at_least: 0.9,
    },
];

const fn target(scenario: Scenario, of: Contender, at_least: f64) -> Target {
    Target { ours: scenario, against: scenario, of, at_least }
}

impl Scenario {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::LoadPostgres => "load a session, Postgres",
            Self::TouchPostgres => "load with a durable touch each, Postgres",
            Self::SetPostgres => "change one key, Postgres",
            Self::LoadPostgresOne => "load, Postgres, one connection",
            Self::LoadRedis => "load a session, Redis",
            Self::SetRedis => "change one key, Redis",
            Self::LoadSqlite => "load a session, SQLite",
            Self::SetSqlite => "change one key, SQLite",
            Self::LoadPostgresNever => "load, Postgres, never touching",
            Self::LoadPostgresMillion => "load, Postgres, 1,000,000 stored",
        }
    }

    pub(crate) fn contenders(self) -> &'static [Contender] {
        use Contender as C;
        match self {
            Self::LoadPostgres | Self::SetPostgres => {
                &[C::Ours, C::Tower, C::Express, C::PgbenchPrepared, C::PgbenchSimple]
            }
            Self::TouchPostgres | Self::LoadPostgresOne => &[C::Ours, C::Tower, C::Express],
            Self::LoadRedis | Self::SetRedis => &[C::Ours, C::Tower, C::Express, C::RedisBenchmark],
            Self::LoadSqlite | Self::SetSqlite => &[C::Ours, C::Tower],
            Self::LoadPostgresNever | Self::LoadPostgresMillion => &[C::Ours],
        }
    }

    /// True when each request changes a key, false when it only loads.
    pub(crate) fn changes(self) -> bool {
        matches!(self, Self::SetPostgres | Self::SetRedis | Self::SetSqlite)
    }

    pub(crate) fn connections(self) -> usize {
        if self == Self::LoadPostgresOne { 1 } else { CONNECTIONS }
    }

    /// The process that serves this scenario for a contender that is a server.
    pub(crate) fn server(self, contender: Contender) -> Option<Server> {
        if !matches!(contender, Contender::Ours | Contender::Tower | Contender::Express) {
            return None;
        }
        let store = match self {
            Self::LoadRedis | Self::SetRedis => Store::Redis,
            Self::LoadSqlite | Self::SetSqlite => Store::Sqlite,
            _ => Store::Postgres,
        };
        let touch = match self {
            Self::TouchPostgres => Touch::Always,
            Self::LoadPostgresNever => Touch::Never,
            _ => Touch::Interval,
        };
        let stored = if self == Self::LoadPostgresMillion { Stored::Million } else { Stored::Seeded };
        Some(Server { contender, store, touch, stored })
    }
}

/// Connections of the load generator, clients of pgbench and of redis-benchmark.
pub(crate) const CONNECTIONS: usize = 64;
/// Distinct sessions that a measurement asks for.
pub(crate) const SESSIONS: u32 = 10_000;

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "sessile",
            Self::Tower => "tower-sessions",
            Self::Express => "express-session",
            Self::PgbenchPrepared => "pgbench, prepared",
            Self::PgbenchSimple => "pgbench, simple",
            Self::RedisBenchmark => "redis-benchmark",
        }
    }

    pub(crate) fn app(self) -> App {
        match self {
            Self::Ours => App::Ours,
            Self::Tower => App::Tower,
            Self::Express => App::Express,
            Self::PgbenchPrepared | Self::PgbenchSimple => App::Pgbench,
            Self::RedisBenchmark => App::RedisBenchmark,
        }
    }
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
        }
    }
}

impl Touch {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl Server {
    /// A name fit for a database, a file and a log line.
    pub(crate) fn name(self) -> String {
        let contender = match self.contender {
            Contender::Ours => "ours",
            Contender::Tower => "tower",
            _ => "express",
        };
        let stored = if self.stored == Stored::Million { "_million" } else { "" };
        format!("{contender}_{}_{}{stored}", self.store.name(), self.touch.name())
    }
}
