//! The scripts: every write is one, so that its condition and its effect are one step.
//!
//! A script loops over its items. On a single server one call carries a whole batch; on Cluster each item is a call
//! of its own, whose keys share a slot.

use redis::{Cmd, Script};

const TELL: &str = include_str!("lua/tell.lua");

/// All of them, ready to be called.
pub(crate) struct Scripts {
    pub(crate) insert: Lua,
    pub(crate) swap: Lua,
    pub(crate) extend: Lua,
    pub(crate) retire: Lua,
    pub(crate) end: Lua,
    pub(crate) expire: Lua,
    pub(crate) settle: Lua,
    pub(crate) due: Lua,
    pub(crate) undue: Lua,
    pub(crate) land: Lua,
    pub(crate) amend: Lua,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let telling = |text: &str| Lua::new(format!("{TELL}{text}"));
        let plain = |text: &str| Lua::new(text.to_owned());
        Self {
            insert: telling(include_str!("lua/insert.lua")),
            swap: plain(include_str!("lua/swap.lua")),
            extend: plain(include_str!("lua/extend.lua")),
            retire: plain(include_str!("lua/retire.lua")),
            end: telling(include_str!("lua/end.lua")),
            expire: telling(include_str!("lua/expire.lua")),
            settle: plain(include_str!("lua/settle.lua")),
            due: plain(include_str!("lua/due.lua")),
            undue: plain(include_str!("lua/undue.lua")),
            land: plain(include_str!("lua/land.lua")),
            amend: plain(include_str!("lua/amend.lua")),
        }
    }

    /// The commands that make a server know them.
    pub(crate) fn loads(&self) -> Vec<Cmd> {
        let Self { insert, swap, extend, retire, end, expire, settle, due, undue, land, amend } = self;
        let all = [insert, swap, extend, retire, end, expire, settle, due, undue, land, amend];
        all.into_iter().map(Lua::load).collect()
    }
}

/// One script.
pub(crate) struct Lua {
    text: String,
    hash: String,
}

impl Lua {
    pub(crate) fn new(text: String) -> Self {
        Self { hash: Script::new(&text).get_hash().to_owned(), text }
    }

    /// The command that makes a server know it.
    pub(crate) fn load(&self) -> Cmd {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(&self.text);
        cmd
    }

    /// A call of it.
    pub(crate) fn call(&self, keys: &[&str], args: &[&str]) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.hash).arg(keys.len()).arg(keys).arg(args);
        cmd
    }
}
