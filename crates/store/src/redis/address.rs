//! Which servers an address names: `redis://`, `rediss://`, a comma separated list of them, `redis+cluster://`.
//! Passwords stay inside; only [`Address::place`] may be shown.

use crate::open::OpenError;
use redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use url::Url;

/// Cluster nodes that one address names at most.
const NODES_MAX: usize = 64;

/// Where to connect first.
pub(crate) struct Address {
    pub(crate) nodes: Vec<ConnectionInfo>,
    /// Whether the address itself says that this is a Cluster; a single server is asked.
    pub(crate) says_cluster: bool,
    pub(crate) tls: bool,
    /// Host, port and database of each node, without credentials.
    pub(crate) place: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(unusable)?;
        let (scheme, says_cluster) = match scheme {
            "redis" | "rediss" => (scheme, rest.contains(',')),
            "redis+cluster" => ("redis", true),
            "rediss+cluster" => ("rediss", true),
            _ => return Err(unusable()),
        };
        let mut credentials = String::new();
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for part in rest.split(',').take(NODES_MAX) {
            let part = part.trim();
            // Each node may repeat the scheme; user and password count for all nodes after the one that has them.
            let part = part.split_once("://").map_or(part, |(_, rest)| rest);
            if let Some((own, _)) = part.rsplit_once('@') {
                credentials = format!("{own}@");
            }
            let host = part.rsplit_once('@').map_or(part, |(_, host)| host);
            let node = Url::parse(&format!("{scheme}://{credentials}{host}")).map_err(|_| unusable())?;
            places.push(place_of(&node)?);
            let info = node.into_connection_info().map_err(|_| unusable())?;
            // RESP3 tells a closed connection at once.
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            nodes.push(info.set_redis_settings(settings));
        }
        Ok(Self { nodes, says_cluster, tls: scheme == "rediss", place: places.join(", ") })
    }
}

fn place_of(node: &Url) -> Result<String, OpenError> {
    let host = node.host_str().filter(|host| !host.is_empty()).ok_or_else(unusable)?;
    Ok(format!("{host}:{}{}", node.port().unwrap_or(6379), node.path().trim_end_matches('/')))
}

fn unusable() -> OpenError {
    OpenError::Unusable {
        what: "the Redis address is not understood; write redis://user:password@host:6379/0, rediss://… for TLS, or \
               redis+cluster://host1:6379,host2:6379"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url).ok().unwrap()
    }

    #[test]
    fn the_forms_are_told_apart_and_show_no_password() {
        let plain = parse("redis://user:hunter2@cache.example:6380/2");
        assert_eq!(
            (plain.place.as_str(), plain.says_cluster, plain.tls),
            ("cache.example:6380/2", false, false)
        );
        let list = parse("rediss://:hunter2@a:1,b:2");
        assert_eq!((list.place.as_str(), list.says_cluster, list.tls), ("a:1, b:2", true, true));
        assert_eq!(list.nodes[1].redis_settings().password(), Some("hunter2"));
        assert!(parse("redis+cluster://a").says_cluster);
        assert_eq!(parse("redis://a:1,redis://b:2").place, "a:1, b:2");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for bad in ["redis:", "redis://", "redis://u:hunter2@", "http://h", "redis://h:port", "redis://a,,b"]
        {
            let error = Address::parse(bad).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("{bad} was accepted"));
            assert!(error.contains("redis+cluster://") && !error.contains("hunter2"), "{error}");
        }
    }
}
