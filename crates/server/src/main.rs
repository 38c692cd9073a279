//! Sessile.
fn main() {}
