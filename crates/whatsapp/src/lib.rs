//! The WhatsApp device: the client crate behind a trait of ours, alone because its dependencies are heavy.
//!
//! The `stand-in` feature lets the client trust a server whose certificates nobody signed, for tests. It must never
//! reach a released binary, so a build without debug assertions refuses it.

#[cfg(all(feature = "stand-in", not(debug_assertions)))]
compile_error!(
    "the feature `stand-in` switches off the check of WhatsApp's certificates: it exists for tests, not for releases"
);
