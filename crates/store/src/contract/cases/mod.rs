//! The cases themselves, by what they are about. Private: the list in the parent module is how they are reached, and
//! a case that the list forgets is dead code.

pub(super) mod ending;
pub(super) mod flow;
pub(super) mod keeping;
pub(super) mod people;
pub(super) mod porting;
pub(super) mod racing;
pub(super) mod replacing;
pub(super) mod sweeping;
