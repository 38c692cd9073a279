//! What is measured: who does what on which store.

use clap::ValueEnum;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Messages of Stripe: verified, recorded, answered.
    Webhook,
    /// How a job goes.
    Status,
}

/// Where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// Redis, its file synced about once a second.
    RedisEverySecond,
    /// Redis, its file synced before each answer.
    RedisEveryWrite,
    /// Postgres.
    Postgres,
}

impl Store {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::RedisEverySecond => "Redis, appendfsync everysec",
            Self::RedisEveryWrite => "Redis, appendfsync always",
            Self::Postgres => "Postgres",
        }
    }
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    Ours,
    Express,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Express => "express",
        }
    }
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) scenario: Scenario,
    pub(crate) store: Store,
}

impl Subject {
    /// Reads do not sync: one Redis is enough for them.
    pub(crate) const ALL: [Self; 5] = [
        Self { scenario: Scenario::Webhook, store: Store::RedisEverySecond },
        Self { scenario: Scenario::Webhook, store: Store::RedisEveryWrite },
        Self { scenario: Scenario::Webhook, store: Store::Postgres },
        Self { scenario: Scenario::Status, store: Store::RedisEverySecond },
        Self { scenario: Scenario::Status, store: Store::Postgres },
    ];

    /// Ours at least so many times the peer's.
    pub(crate) const TARGET: f64 = 10.0;

    pub(crate) fn title(self) -> String {
        let what = match self.scenario {
            Scenario::Webhook => "webhooks accepted",
            Scenario::Status => "status reads",
        };
        let store = match (self.scenario, self.store) {
            (Scenario::Status, Store::RedisEverySecond | Store::RedisEveryWrite) => "Redis",
            (_, store) => store.title(),
        };
        format!("{what}, {store}")
    }
}
