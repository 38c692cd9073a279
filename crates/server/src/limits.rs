//! Every bound of the HTTP side, with its name.

use std::time::Duration;

/// Bytes of a JSON body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a request's head that are read.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers in one request.
pub const HEADERS_MAX: usize = 100;
/// How long a client may take to send a request's head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests under way at once; beyond that the answer is 503.
pub const REQUESTS_MAX: usize = 4096;
/// Connections open at once; beyond that they wait to be accepted.
pub const CONNECTIONS_MAX: usize = 16_384;
/// How long a stop waits for requests under way.
pub const STOP_GRACE: Duration = Duration::from_secs(20);
/// Characters of a client's own `x-request-id`.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// How long the store may take to answer `/readyz`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long revoking a refresh token at logout may take; nobody waits for it.
pub const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);
