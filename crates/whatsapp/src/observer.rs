//! What happens, for whoever counts it.

/// Something worth a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// A QR code was shown.
    QrShown,
    /// A device was paired.
    Paired,
    /// A pairing failed.
    PairingFailed,
    /// A device logged in and is ready.
    Ready,
    /// A connection broke.
    Lost,
    /// A device was found to be unlinked, or was unlinked by us.
    LoggedOut,
    /// Another client took a connection over.
    Replaced,
    /// Another process took a device over.
    Fenced,
    /// A device was disconnected because the store of its keys is away.
    StorageLost,
    /// A client stopped saving after too many failures and was made anew.
    SavingStopped,
    /// A message was sent.
    Sent,
    /// A message was asked for again and answered from memory.
    SentBefore,
    /// A message could not be sent.
    SendFailed,
}

impl Counted {
    /// As a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QrShown => "qr_shown",
            Self::Paired => "paired",
            Self::PairingFailed => "pairing_failed",
            Self::Ready => "ready",
            Self::Lost => "lost",
            Self::LoggedOut => "logged_out",
            Self::Replaced => "replaced",
            Self::Fenced => "fenced",
            Self::StorageLost => "storage_lost",
            Self::SavingStopped => "saving_stopped",
            Self::Sent => "sent",
            Self::SentBefore => "sent_before",
            Self::SendFailed => "send_failed",
        }
    }
}

/// Counts.
pub trait Observer: Send + Sync + 'static {
    /// It happened once more.
    fn count(&self, what: Counted);
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn count(&self, _: Counted) {}
}
