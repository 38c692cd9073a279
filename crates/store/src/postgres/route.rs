//! Whether a pooler stands between us and the server.
//!
//! The server tells on which address and port it accepted the connection; where that is the one we dialled, nobody
//! is in between, and a prepared statement stays where it was made. Behind a pooler, an address translation or a
//! local socket the two differ or are unknown, and then nothing is prepared. One doubtful connection decides for
//! all of them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};

const UNKNOWN: u8 = 0;
const DIRECT: u8 = 1;
const POOLED: u8 = 2;

/// Query parameters by which people say that a pooler is in front.
const SAYS_POOLED: [&str; 2] = ["pgbouncer=true", "statement_cache_size=0"];

/// What was dialled, and what is known of the way there.
#[derive(Debug)]
pub(super) struct Route {
    dialled: Vec<(String, u16)>,
    state: AtomicU8,
}

impl Route {
    pub(super) fn new(config: &Config, url: &str) -> Self {
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
        let dialled = config.get_hosts().iter().enumerate().filter_map(|(at, host)| match host {
            Host::Tcp(name) => Some((name.clone(), port(at))),
            Host::Unix(_) => None,
        });
        let pooled = SAYS_POOLED.iter().any(|says| url.contains(says));
        Self { dialled: dialled.collect(), state: AtomicU8::new(if pooled { POOLED } else { UNKNOWN }) }
    }

    /// Whether statements may be prepared and kept.
    pub(super) fn is_direct(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DIRECT
    }

    /// Something was found that only a pooler does.
    pub(super) fn forget(&self) {
        self.state.store(POOLED, Ordering::Relaxed);
    }

    /// Looks at a new connection. A question that fails leaves the connection without names.
    pub(super) async fn check(&self, client: &Client) {
        if self.state.load(Ordering::Relaxed) == POOLED {
            return;
        }
        let rows = client.query_typed("select host(inet_server_addr()), inet_server_port()", &[]).await;
        let told = rows.ok().and_then(|rows| {
            let row = rows.first()?;
            let address: IpAddr = row.try_get::<_, Option<&str>>(0).ok()??.parse().ok()?;
            let port = u16::try_from(row.try_get::<_, Option<i32>>(1).ok()??).ok()?;
            Some((address, port))
        });
        let direct = match told {
            Some((address, port)) => self.was_dialled(address, port).await,
            None => false,
        };
        if direct {
            // Never from POOLED back to DIRECT.
            let _ = self.state.compare_exchange(UNKNOWN, DIRECT, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.forget();
        }
    }

    async fn was_dialled(&self, address: IpAddr, port: u16) -> bool {
        for (name, dialled) in &self.dialled {
            if *dialled != port {
                continue;
            }
            if let Ok(mut found) = tokio::net::lookup_host((name.as_str(), port)).await
                && found.any(|socket| socket.ip().to_canonical() == address.to_canonical())
            {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_very_address_that_was_dialled_is_direct() {
        let config: Config = "postgres://u@127.0.0.1:5432/d".parse().unwrap();
        let route = Route::new(&config, "postgres://u@127.0.0.1:5432/d");
        assert!(route.was_dialled("127.0.0.1".parse().unwrap(), 5432).await);
        assert!(!route.was_dialled("127.0.0.1".parse().unwrap(), 6432).await);
        assert!(!route.was_dialled("10.0.0.7".parse().unwrap(), 5432).await);
        assert!(!route.is_direct(), "nothing is known before a connection has been looked at");
        let pooled = Route::new(&config, "postgres://u@127.0.0.1:5432/d?pgbouncer=true");
        assert_eq!(pooled.state.load(Ordering::Relaxed), POOLED);
    }
}
