//! The WhatsApp device: the client crate behind a trait of ours, alone because its dependencies are heavy.
//!
//! - [`Devices`] runs the devices of a process: pairing, connecting, sending, owning.
//! - [`WhatsApp`] and [`DeviceClient`] are what it asks of a client; [`RealWhatsApp`] is `whatsapp-rust`.
//! - [`VaultBackend`] is the client's storage, implemented once over a vault of `sessile-core`.
//!
//! The `stand-in` feature lets the client trust a server whose certificates nobody signed, for tests. It must never
//! reach a released binary, so a build without debug assertions refuses it.

#[cfg(all(feature = "stand-in", not(debug_assertions)))]
compile_error!(
    "the feature `stand-in` switches off the check of WhatsApp's certificates: it exists for tests, not for releases"
);

mod backend;
mod client;
mod devices;
mod message;
mod observer;
mod pace;
mod real;
mod wire;

pub use backend::VaultBackend;
pub use client::{ClientError, DeviceClient, Ended, News, OpenError, PairCode, QrCode, WhatsApp};
pub use devices::{
    DeviceError, DeviceEvent, Devices, Info, PairingCode, Qr, QrAnswer, SendKey, SentMessage, Setup, Status,
    Unlinked, qr_of,
};
pub use message::{BadMessage, MessageId, PhoneNumber, Reached, Receipt, TEXT_UNITS_MAX, Text};
pub use observer::{Counted, Observer, Unobserved};
pub use pace::RuntimePace;
pub use real::RealWhatsApp;
pub use wire::{Gate, Shut};
