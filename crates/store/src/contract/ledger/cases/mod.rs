//! The cases, by subject.

pub(super) mod chain;
pub(super) mod due;
pub(super) mod keeping;
pub(super) mod links;
pub(super) mod lists;
pub(super) mod outbox;
pub(super) mod purging;
pub(super) mod racing;
pub(super) mod users;
pub(super) mod writing;
