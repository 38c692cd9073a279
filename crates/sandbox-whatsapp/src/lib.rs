//! A stand-in for WhatsApp's server and for a phone, on loopback. Tests drive the real client against it.
//!
//! Only test programs depend on this crate: it turns on the client's `stand-in` feature.
