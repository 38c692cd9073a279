//! The scripts of generation sessions: each condition and its effect are one step.

use crate::redis::scripts::Lua;
use redis::Cmd;

const REPLICAS: &str = include_str!("lua/replicas.lua");
const CONFIRM: &str = include_str!("lua/confirm.lua");

pub(super) struct Scripts {
    pub(super) insert: Lua,
    pub(super) replace: Lua,
    pub(super) commit: Lua,
    pub(super) take: Lua,
    pub(super) put: Lua,
    pub(super) land: Lua,
    pub(super) land_event: Lua,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let counting = |text: &str| Lua::new(format!("{REPLICAS}{text}"));
        let plain = |text: &str| Lua::new(text.to_owned());
        Self {
            insert: counting(include_str!("lua/insert.lua")),
            replace: counting(include_str!("lua/replace.lua")),
            commit: counting(include_str!("lua/commit.lua")),
            take: plain(include_str!("lua/take.lua")),
            put: plain(include_str!("lua/put.lua")),
            land: counting(include_str!("lua/land.lua")),
            land_event: counting(include_str!("lua/land_event.lua")),
        }
    }

    /// The commands that make a server know them.
    pub(super) fn loads(&self) -> Vec<Cmd> {
        let Self { insert, replace, commit, take, put, land, land_event } = self;
        [insert, replace, commit, take, put, land, land_event].into_iter().map(Lua::load).collect()
    }
}

/// Asks whether something is there. With its text: a server that a failover has just chosen knows no scripts.
pub(super) fn confirm(place: &str, ends: i64, value: Option<&str>) -> Cmd {
    let mut cmd = redis::cmd("EVAL");
    cmd.arg(CONFIRM).arg(1).arg(place).arg(ends).arg(value);
    cmd
}
