//! Going round all keys of a server or a Cluster in steps that can be taken up again: for what is moved out of Redis.
//!
//! A mark names the phase, the master, its run and its cursor. A restart shuffles a server's keys, so that old cursors mean
//! nothing any more: where the run is another one, the way begins anew.

use super::server::{Node, Server};
use super::wire::{number, text};
use sessile_core::StoreError;
use sessile_core::portable::Mark;

/// Keys that one step asks for, at most.
const SCAN_MAX: usize = 5_000;

/// A way round: some patterns, one after the other, each on every master.
pub(crate) struct Way<'a> {
    pub(crate) server: &'a Server,
    /// The names of its phases; none holds a space.
    pub(crate) phases: &'static [&'static str],
}

/// A place on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) phase: usize,
    node: usize,
    run: String,
    cursor: u64,
}

impl Way<'_> {
    /// About how many keys there are; Redis does not count by pattern.
    pub(crate) async fn size(&self) -> Result<u64, StoreError> {
        let mut size = 0;
        for node in self.server.nodes().await? {
            let keys = self.server.on_node(node, redis::cmd("DBSIZE")).await?;
            size += number(&keys).unwrap_or_default().unsigned_abs();
        }
        Ok(size)
    }

    /// Where to go on: at `from`, if that still means anything, else at the beginning.
    pub(crate) async fn resume(&self, from: Option<&Mark>) -> Result<Stop, StoreError> {
        let nodes = self.server.nodes().await?;
        if let Some(stop) = from.and_then(|mark| self.read(mark.as_str()))
            && let Some(&node) = nodes.get(stop.node)
            && self.run_of(node).await? == stop.run
        {
            return Ok(stop);
        }
        self.begin(&nodes, 0, 0).await
    }

    /// The keys of one step, some perhaps twice, and where the next one begins.
    pub(crate) async fn step(
        &self,
        stop: Stop,
        pattern: &str,
        limit: usize,
    ) -> Result<(Vec<String>, Option<Mark>), StoreError> {
        let nodes = self.server.nodes().await?;
        let node = *nodes.get(stop.node).ok_or_else(|| self.server.odd())?;
        let (cursor, keys) = self.server.scan(node, stop.cursor, pattern, limit.clamp(1, SCAN_MAX)).await?;
        let next = if cursor != 0 {
            Some(Stop { cursor, ..stop })
        } else if stop.node + 1 < nodes.len() {
            Some(self.begin(&nodes, stop.phase, stop.node + 1).await?)
        } else if stop.phase + 1 < self.phases.len() {
            Some(self.begin(&nodes, stop.phase + 1, 0).await?)
        } else {
            None
        };
        Ok((keys, next.map(|stop| self.mark(&stop))))
    }

    async fn begin(&self, nodes: &[Node], phase: usize, node: usize) -> Result<Stop, StoreError> {
        let at = *nodes.get(node).ok_or_else(|| self.server.odd())?;
        Ok(Stop { phase, node, run: self.run_of(at).await?, cursor: 0 })
    }

    async fn run_of(&self, node: Node) -> Result<String, StoreError> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let info = text(self.server.on_node(node, info).await?).unwrap_or_default();
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        // Where a provider hides it, a cursor is believed.
        Ok(run.map_or("?", str::trim).to_owned())
    }

    fn read(&self, text: &str) -> Option<Stop> {
        read(self.phases, text)
    }

    fn mark(&self, Stop { phase, node, run, cursor }: &Stop) -> Mark {
        Mark::new(format!("{} {node} {run} {cursor}", self.phases[*phase]))
    }
}

fn read(phases: &[&str], text: &str) -> Option<Stop> {
    let mut parts = text.split(' ');
    let name = parts.next()?;
    let stop = Stop {
        phase: phases.iter().position(|phase| *phase == name)?,
        node: parts.next()?.parse().ok()?,
        run: parts.next()?.to_owned(),
        cursor: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let phases = ["ended", "session"];
        let stop = Stop { phase: 1, node: 2, run: "abc".to_owned(), cursor: 77 };
        assert_eq!(read(&phases, "session 2 abc 77"), Some(stop));
        for other in ["", "session", "session 1 abc", "else 1 abc 7", "session 1 abc 7 8"] {
            assert_eq!(read(&phases, other), None, "{other}");
        }
    }
}
