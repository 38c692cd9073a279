//! What CLICK reads back: one JSON object, always with HTTP 200.
//!
//! A callback that was not verified is answered with `error` and `error_note` alone, as CLICK documents its errors.

use serde::{Serialize, Serializer};

use super::callback::Message;
use super::refusal::Refusal;

/// CLICK's table of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 0
    Success,
    /// -1
    SignCheckFailed,
    /// -2
    IncorrectAmount,
    /// -3
    ActionNotFound,
    /// -4
    AlreadyPaid,
    /// -5: no such order.
    UserDoesNotExist,
    /// -6: no such `merchant_prepare_id`, or not of this attempt.
    TransactionDoesNotExist,
    /// -7
    FailedToUpdateUser,
    /// -8
    ErrorInRequest,
    /// -9
    TransactionCancelled,
}

impl Code {
    /// The number in `error`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::SignCheckFailed => -1,
            Self::IncorrectAmount => -2,
            Self::ActionNotFound => -3,
            Self::AlreadyPaid => -4,
            Self::UserDoesNotExist => -5,
            Self::TransactionDoesNotExist => -6,
            Self::FailedToUpdateUser => -7,
            Self::ErrorInRequest => -8,
            Self::TransactionCancelled => -9,
        }
    }

    /// The words in `error_note`, as CLICK's table has them.
    #[must_use]
    pub fn note(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::SignCheckFailed => "SIGN CHECK FAILED!",
            Self::IncorrectAmount => "Incorrect parameter amount",
            Self::ActionNotFound => "Action not found",
            Self::AlreadyPaid => "Already paid",
            Self::UserDoesNotExist => "User does not exist",
            Self::TransactionDoesNotExist => "Transaction does not exist",
            Self::FailedToUpdateUser => "Failed to update user",
            Self::ErrorInRequest => "Error in request from click",
            Self::TransactionCancelled => "Transaction cancelled",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.number())
    }
}

/// The answer to one callback; serialise it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    click_trans_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_trans_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_prepare_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_confirm_id: Option<i64>,
    error: Code,
    error_note: &'static str,
}

impl Answer {
    /// To a verified callback, whatever became of it.
    #[must_use]
    pub fn new(message: &Message, code: Code) -> Self {
        Self {
            click_trans_id: Some(message.click_trans_id),
            merchant_trans_id: Some(message.order.as_str().to_owned()),
            ..Self::bare(code)
        }
    }

    /// To a callback that was refused, or that names nothing we may repeat.
    #[must_use]
    pub fn bare(code: Code) -> Self {
        Self {
            click_trans_id: None,
            merchant_trans_id: None,
            merchant_prepare_id: None,
            merchant_confirm_id: None,
            error: code,
            error_note: code.note(),
        }
    }

    /// Adds `merchant_prepare_id`, which a Prepare that succeeded must carry.
    #[must_use]
    pub fn with_prepare_id(self, id: i64) -> Self {
        Self { merchant_prepare_id: Some(id), ..self }
    }

    /// Adds `merchant_confirm_id`, which a Complete that succeeded must carry.
    #[must_use]
    pub fn with_confirm_id(self, id: i64) -> Self {
        Self { merchant_confirm_id: Some(id), ..self }
    }

    /// What it says.
    #[must_use]
    pub fn code(&self) -> Code {
        self.error
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::bare(refusal.code())
    }
}
