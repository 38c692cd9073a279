//! Whether an address answers at all: for `doctor`, which tells an operator what the world would meet.

use crate::outgoing::{client, status_of};
use crate::transport::Timeouts;
use std::time::Duration;
use url::Url;

/// Bounds of both waits: nobody watches a doctor for long.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(4), request: Duration::from_secs(6) };

/// Asks for `url` once, sending nothing and following nothing; answers the status.
///
/// # Errors
/// A sentence for an operator, without the address.
pub async fn status(url: &Url) -> Result<u16, String> {
    let client = client(url, TIMEOUTS).map_err(|error| error.to_string())?;
    status_of(client.get(url.clone())).await
}
