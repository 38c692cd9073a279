//! CLICK's protocol from the outside: callbacks as bytes, and the Merchant API over real sockets.

mod boundaries;
mod callbacks;
mod garbage;
mod merchant_api;
mod signed;
mod stub;
