//! The cases, by the promise that they are about.

pub(super) mod ending;
pub(super) mod flow;
pub(super) mod moving;
pub(super) mod owning;
pub(super) mod stepping;
