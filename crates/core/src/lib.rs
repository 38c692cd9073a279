//! Sessile.
