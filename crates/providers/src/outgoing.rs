//! What the webhook and Supabase's client share: which addresses they send to, and one request with one answer.
//!
//! Nothing is repeated here: the outbox does that, at its own pace and across restarts.

use reqwest::RequestBuilder;
use std::time::Duration;
use url::Url;

use crate::transport::{BadAddress, ClientError, HttpFailure, Reach, Timeouts, failure, private, whole_body};

/// Bounds of every wait: 5 s for a connection, 15 s for a whole request.
pub const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(15) };
/// The most of an answer that is read.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Why a destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not an address to send to.
    #[error("{setting} has to begin with https://, without a password in it")]
    Address {
        /// Which setting.
        setting: &'static str,
    },
    /// Others on the way could read it.
    #[error("{setting} has to begin with https://; plain http is for loopback only")]
    Insecure {
        /// Which setting.
        setting: &'static str,
    },
    /// A secret that cannot be used.
    #[error("{setting}: {what}")]
    Secret {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it, without repeating it.
        what: String,
    },
    /// The client could not be built.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// https, or http that stays on this machine.
pub(crate) fn check(url: &Url, setting: &'static str) -> Result<(), Unusable> {
    private(url).map_err(|bad| match bad {
        BadAddress::Invalid => Unusable::Address { setting },
        BadAddress::Insecure => Unusable::Insecure { setting },
    })
}

/// A client for one destination. It follows no redirect, which would send signatures and keys to somebody else.
pub(crate) fn client(to: &Url, timeouts: Timeouts) -> Result<reqwest::Client, Unusable> {
    Ok(crate::transport::client(timeouts, Reach::of(to))?)
}

/// Sends, reads the answer up to the limit and drops it; the status is what counts.
///
/// # Errors
/// A sentence for an operator, without the address and without anything secret.
pub(crate) async fn status_of(request: RequestBuilder) -> Result<u16, String> {
    let response = request.send().await.map_err(|error| match failure(error) {
        HttpFailure::Connect(_) => {
            "no connection: it does not listen, its name is unknown, or its certificate is not trusted"
                .to_owned()
        }
        other => other.to_string(),
    })?;
    let status = response.status().as_u16();
    // So that the connection can be used again; a longer answer costs the connection and nothing else.
    let _ = whole_body(response, RESPONSE_BYTES_MAX).await;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine() {
        let checked = |url: &str| check(&Url::parse(url).unwrap(), "X");
        for good in
            ["https://app.example/hook?key=1", "http://127.0.0.1:4000/", "http://localhost/", "http://[::1]/"]
        {
            assert!(checked(good).is_ok(), "{good}");
        }
        assert!(matches!(checked("http://app.example/"), Err(Unusable::Insecure { setting: "X" })));
        assert!(matches!(checked("http://127.0.0.1.example/"), Err(Unusable::Insecure { .. })));
        for bad in ["https://u:p@app.example/", "ftp://app.example/", "mailto:a@b.example"] {
            assert!(matches!(checked(bad), Err(Unusable::Address { .. })), "{bad}");
        }
    }
}
