//! An answer that is lost on the way: the work is done, and the connection breaks before a byte of it is heard.

use axum::body::{Body, Bytes};
use axum::response::Response;

/// Breaks the connection. The error comes before the first piece of the body, so that not even the head is sent.
pub(crate) fn lost() -> Response {
    let broken = Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    Response::new(Body::from_stream(futures_util::stream::iter([broken])))
}
