//! The cases, by what they are about.

pub(super) mod binding;
pub(super) mod claiming;
pub(super) mod events;
pub(super) mod keeping;
pub(super) mod marking;
