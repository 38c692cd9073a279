//! SuperDuperAI: asking for a video, watching it being made, and finding it again after a lost answer.
//!
//! The workers call [`Client::generate_video`] once per recorded request. Its errors tell apart what was surely not
//! asked for from what may have been: after [`GenerateError::OutcomeUnknown`] the worker asks [`Client::find`] before it
//! asks for another one, because the API knows no idempotency key and every video costs money. Nothing here decides
//! about a session, stores anything or reads a clock.
//!
//! Documented (the service's OpenAPI description, as its public clients were generated from it): `POST
//! /api/v1/file/generate-video`, `GET /api/v1/file/{id}`, `GET /api/v1/file` with `types`, `order_by`, `order`, `limit`
//! and `offset` answering `{items, total, limit, offset}`, `video_generation.seed` in a file, and `GET
//! /api/v1/events/{channel}`. Assumed: that the list without `user_id` covers what our token made, that a file is listed
//! from the moment it is asked for, and that `progress` counts to a hundred.

mod client;
mod config;
mod error;
mod events;
mod file;
mod request;
mod sse;

pub use client::{Client, FILES_SEARCHED_MAX, SETTLED_AFTER};
pub use config::{Config, ConfigError};
pub use error::{GenerateError, ReadError, Uncertain};
pub use events::{Events, FileEvent, IDLE_TIMEOUT, Progress, STREAM_DURATION_MAX, StreamError};
pub use file::{File, Task, TaskStatus, Verdict, VideoGeneration};
pub use request::{GENERATION_CONFIG, GenerateVideo, InvalidResolution, Resolution, SEED_MAX};
pub use sse::MESSAGE_BYTES_MAX;
