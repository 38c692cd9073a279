//! `login`: who is signed in, by cookie.
//!
//! One request goes `cookie -> signature -> store -> session -> rules -> store -> cookie`. The cookie, the stored
//! JSON and the end-of-request rule are express-session's, so that an Express application and we can serve the
//! same visitors at the same time. Everything here is pure but [`Logins`], which loads, decides and commits.

mod change;
mod cookie;
mod data;
mod expiry;
mod id;
mod logins;
mod policy;
mod portable;
pub mod rules;
mod session;
mod signature;
mod store;

pub use change::{LoginChange, Merge};
pub use cookie::CookieFields;
pub use data::{
    COOKIE_KEY, DATA_BYTES_MAX, DEVICE_KEY, DataError, Device, Edit, LoginData, Removed, refuse_reserved,
};
pub use expiry::Lifetime;
pub use id::{DeviceHandle, Fingerprint, ID_BYTES, ID_CHARS_MAX, LoginId, UserId};
pub use logins::{CookieOut, LoginError, Logins, Opened};
pub use policy::{CookiePolicy, CookieRule, LoginPolicy, SameSite, Switch, Unset};
pub use portable::{AmendLogins, Amendment, LoginName, Names, PortableLogin, PortableSession};
pub use session::{CookiePlan, LoginSession, Lost, Plan, Write};
pub use signature::{COOKIE_CHARS_MAX, CookieFault, CookieSigner, SignedBy, SignedId};
pub use store::{
    Absence, EVENTS_MAX, EndReason, LIST_MAX, ListedLogin, LoginCount, LoginEvent, LoginEventKind,
    LoginStore, Lookup, NewLogin, Persistence, Revoked, StoreInfo, Stored, Swept, Version,
};
