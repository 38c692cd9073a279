//! What the server is like, for `doctor`: whether it can do what is needed, and what it does with what it is given.

use super::server::Server;
use super::wire::{items, number, text};
use crate::open::OpenError;
use sessile_core::{StoreError, Timestamp};

/// What `doctor` wants to know of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisFacts {
    /// Host, port and database; no credentials.
    pub place: String,
    /// The server's version, as far as it tells.
    pub version: Option<String>,
    /// Whether it is a Cluster.
    pub cluster: bool,
    /// What happens when memory is full (`noeviction`, `allkeys-lru`, …).
    pub maxmemory_policy: Option<String>,
    /// The limit of memory in bytes; 0 is none.
    pub maxmemory: Option<u64>,
    /// Whether every write is logged to disk (`appendonly`).
    pub appendonly: Option<bool>,
    /// Whether the last snapshot and the last write of the log succeeded.
    pub last_writes_ok: Option<bool>,
    /// The server's clock, by which it expires sessions.
    pub now: Option<Timestamp>,
}

impl RedisFacts {
    /// What should be different, and how to change it.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if let Some(policy) = self.maxmemory_policy.as_deref().filter(|policy| *policy != "noeviction") {
            let when =
                if self.maxmemory == Some(0) { "once a memory limit is set" } else { "when memory is full" };
            advice.push(format!(
                "maxmemory-policy is {policy}: {when}, Redis drops sessions that are still valid, and people are \
                 logged out. Set maxmemory-policy noeviction"
            ));
        }
        if self.appendonly == Some(false) {
            advice.push(
                "appendonly is off: a restart of Redis loses the sessions since its last snapshot. Set appendonly yes"
                    .to_owned(),
            );
        }
        if self.last_writes_ok == Some(false) {
            advice.push(
                "Redis could not write its last snapshot or log to disk: check its disk and its log"
                    .to_owned(),
            );
        }
        advice
    }
}

pub(super) async fn facts(server: &Server) -> Result<RedisFacts, StoreError> {
    // One section a call: servers before 7.0 and some providers take no more.
    let mut info = String::new();
    for section in ["server", "memory", "persistence"] {
        let mut cmd = redis::cmd("INFO");
        cmd.arg(section);
        let answer = server.on_one_node(cmd).await?;
        info.push_str(&text(answer).unwrap_or_default());
        info.push('\n');
    }
    let now = items(server.on_one_node(redis::cmd("TIME")).await?);
    let now = match now.iter().map(number).collect::<Vec<_>>().as_slice() {
        [Some(seconds), Some(micros)] => Some(Timestamp::from_unix_ms(seconds * 1000 + micros / 1000)),
        _ => None,
    };
    Ok(RedisFacts { now, ..read(&info, server) })
}

fn read(info: &str, server: &Server) -> RedisFacts {
    let field = |name: &str| field(info, name);
    let ok = |name: &str| field(name).map(|status| status == "ok");
    let writes = [ok("rdb_last_bgsave_status"), ok("aof_last_write_status")];
    RedisFacts {
        place: server.place.clone(),
        version: field("redis_version").map(str::to_owned),
        cluster: !server.is_single(),
        maxmemory_policy: field("maxmemory_policy").map(str::to_owned),
        maxmemory: field("maxmemory").and_then(|bytes| bytes.parse().ok()),
        appendonly: field("aof_enabled").map(|enabled| enabled == "1"),
        now: None,
        last_writes_ok: if writes.contains(&Some(false)) { Some(false) } else { writes[0].or(writes[1]) },
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Tries the newest command that is needed.
pub(super) async fn check_commands(server: &Server) -> Result<(), OpenError> {
    server.one(redis::cmd("PING")).await.map_err(|error| OpenError::unreachable(&server.place, &error))?;
    let mut cmd = redis::cmd("PEXPIRETIME");
    cmd.arg("sessile:probe");
    match server.one(cmd).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let reason = OpenError::unreachable(&server.place, &error).to_string();
            let what = format!("Redis 7.0 or later, or Valkey, is needed for PEXPIRETIME ({reason})");
            Err(OpenError::Schema { place: server.place.clone(), what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_setting_to_change() {
        let good = RedisFacts {
            place: "h:6379".to_owned(),
            version: None,
            cluster: false,
            maxmemory_policy: Some("noeviction".to_owned()),
            maxmemory: Some(0),
            appendonly: Some(true),
            last_writes_ok: Some(true),
            now: None,
        };
        assert!(good.advice().is_empty());
        let policy = Some("allkeys-lru".to_owned());
        let bad = RedisFacts {
            maxmemory_policy: policy,
            appendonly: Some(false),
            last_writes_ok: Some(false),
            ..good
        };
        let advice = bad.advice().join("\n");
        assert!(
            advice.contains("maxmemory-policy noeviction") && advice.contains("appendonly yes"),
            "{advice}"
        );
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let info = "maxmemory_human:1G\r\nmaxmemory:1024\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(field(info, "maxmemory"), Some("1024"));
        assert_eq!(field(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(field(info, "absent"), None);
    }
}
