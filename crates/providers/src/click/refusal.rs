//! Why a callback was refused before anything was looked up. The text is for our log; CLICK hears the code alone.

use super::answer::Code;

/// A callback that goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Above [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX).
    #[error("the body is larger than a CLICK callback can be")]
    TooLarge,
    /// Not `application/x-www-form-urlencoded`.
    #[error("the body is not application/x-www-form-urlencoded")]
    NotAForm,
    /// Above [`FIELDS_MAX`](super::FIELDS_MAX).
    #[error("the form has more fields than a CLICK callback can have")]
    TooManyFields,
    /// Not UTF-8 once it is percent-decoded.
    #[error("the form is not UTF-8")]
    NotUtf8,
    /// NUL, a line break or another control character.
    #[error("the form contains a control character")]
    ControlCharacter,
    /// One name twice: which of the two was signed cannot be known.
    #[error("the form contains a field twice")]
    RepeatedField,
    /// A field that CLICK always sends is not there.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field is not written as CLICK writes it.
    #[error("the field {0} is malformed")]
    Malformed(&'static str),
    /// Signed with none of our secrets.
    #[error(
        "the signature is wrong; if CLICK really sent this, compare CLICK_SECRET_KEY with the merchant cabinet"
    )]
    Signature,
    /// Properly signed, for another service.
    #[error("the callback is for another service; compare CLICK_SERVICE_ID with the merchant cabinet")]
    Service,
    /// Properly signed, and neither Prepare nor Complete.
    #[error("the action is neither Prepare nor Complete")]
    Action,
}

impl Refusal {
    /// What CLICK is told.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Signature => Code::SignCheckFailed,
            Self::Action => Code::ActionNotFound,
            Self::TooLarge
            | Self::NotAForm
            | Self::TooManyFields
            | Self::NotUtf8
            | Self::ControlCharacter
            | Self::RepeatedField
            | Self::Missing(_)
            | Self::Malformed(_)
            | Self::Service => Code::ErrorInRequest,
        }
    }
}
