//! What the histories are made of: a script of indices that proptest draws and shortens, the world in which it is
//! lived, the provider beside it, and the rules. The rules about a state are the model checker's own, read from its
//! file; those about a step are spelled out here once more, over an audit that goes on from step to step.

#[path = "../../../crates/core/tests/money/model/rules.rs"]
#[expect(dead_code, reason = "the rules about steps are those of a ledger that lives for one step")]
mod rules;
#[path = "../../../crates/core/tests/money/model/wire.rs"]
mod wire;

mod life;
mod names;
mod place;
mod resolve;
mod sabotage;
mod script;
mod shop;
mod steps;
mod told;
mod view;
mod world;

pub(crate) use life::live;
pub(crate) use place::{Engine, Place};
pub(crate) use sabotage::sabotaged;
pub(crate) use script::{History, sequential, side_by_side};
pub(crate) use told::{Counters, Told};
