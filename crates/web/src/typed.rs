//! Types that know under which key they stand in a session, so that a key is spelled in one place.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value with a key of its own.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sessile::{Error, Session, SessionKey};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<String>,
/// }
///
/// impl SessionKey for Cart {
///     const KEY: &'static str = "cart";
/// }
///
/// async fn add(session: Session) -> Result<String, Error> {
///     let mut cart = session.value::<Cart>()?.unwrap_or_default();
///     cart.items.push("tea".to_owned());
///     session.put(&cart)?;
///     Ok(format!("{} items", cart.items.len()))
/// }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
/// # fn main() { run(axum::routing::get(add)) }
/// ```
pub trait SessionKey: Serialize + DeserializeOwned {
    /// The top-level key.
    const KEY: &'static str;
}
