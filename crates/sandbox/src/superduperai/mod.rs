//! A stand-in for SuperDuperAI: video generation, file objects, the list of files, events, and real short videos.
//!
//! The endpoints and the shape of a file are those of the provider's own generated client; events go only to whoever
//! is listening when they happen, as there. What no document promises is said where it is made up. No network.

mod api;
mod board_page;
mod config;
mod control;
mod error;
mod events;
mod generation;
mod media;
mod misbehaviour;
mod refusal;
mod render;
mod state;
mod switchboard;

pub use crate::switch::Lasts;
pub use config::{MODEL, SuperDuperAiConfig};
pub use control::SuperDuperAiControl;
pub use error::SuperDuperAiError;
pub use generation::{Generation, GenerationState};
pub use misbehaviour::{EVENTS, FILE, FILES, GENERATE, Misbehaviour};
pub use state::SuperDuperAi;

/// A misbehaviour of this stand-in, switched on.
pub type Switch = crate::switch::Switch<Misbehaviour>;
