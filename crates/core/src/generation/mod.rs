//! Generation sessions: a paid long-running job that never forgets its prompt.
//!
//! [`Generation`] is the whole job as one value, [`Generations`] the service that HTTP, the webhook and the worker call.
//! The record is stored before money can move; what is still to be done is inside the record itself.

mod id;
mod news;
mod portable;
mod service;
mod session;
mod store;
mod video;
mod work;

pub use id::{GenerationId, GenerationKey, StripeSessionId};
pub use news::{News, StripeNews};
pub use portable::{PortableEvent, PortableGeneration};
pub use service::{Applied, Generations, Report};
pub use session::{
    Entry, Flag, GENERATION_LIFETIME, Generation, Money, NewGeneration, Own, PROMPT_BYTES_MAX, Refund,
    Status, Unreadable, VALUE_VERSION, VIDEOS_MAX,
};
pub use store::{GenerationStore, Kept, KeptEvent, Mark, Tally, Tidied};
pub use video::{
    ASKS_MIN, ATTEMPTS_MAX, Asked, Called, RUN_MAX, SETTLE, Seen, Task, Video, VideoStatus, WATCH_EVERY,
};
pub use work::{CALL_TIMEOUT, Generator, Order, Refunder, WORK_LEASE};
