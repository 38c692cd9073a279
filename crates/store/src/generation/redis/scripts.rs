//! The scripts of generation sessions: each condition and its effect are one step.

use crate::redis::scripts::Lua;
use redis::Cmd;

pub(super) struct Scripts {
    pub(super) commit: Lua,
    pub(super) take: Lua,
    pub(super) put: Lua,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let lua = |text: &str| Lua::new(text.to_owned());
        Self {
            commit: lua(include_str!("lua/commit.lua")),
            take: lua(include_str!("lua/take.lua")),
            put: lua(include_str!("lua/put.lua")),
        }
    }

    /// The commands that make a server know them.
    pub(super) fn loads(&self) -> Vec<Cmd> {
        [&self.commit, &self.take, &self.put].into_iter().map(Lua::load).collect()
    }
}
