//! What Click keeps of an order: every attempt to pay it, what was debited and returned, what was said and answered.

use serde::Serialize;

use super::exchange::Exchange;

/// What an attempt has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// The buyer wants to pay; the merchant has not agreed yet.
    Created,
    /// The merchant agreed; nothing is debited.
    Prepared,
    /// Money was taken; the merchant has not acknowledged it to Click.
    Debited,
    /// Money was taken and the payment is good.
    Successful,
    /// Cancelled before anything was debited.
    Cancelled,
    /// The merchant refused the Prepare.
    Refused,
    /// The merchant answered -9 to the Complete and the buyer has the money back.
    Returned,
    /// Money was taken and the merchant keeps refusing or not answering: Click's support must look at it.
    Hanging,
    /// Taken back through the Merchant API.
    Reversed,
}

impl AttemptState {
    /// `payment_status` of the Merchant API: 0 created, 1 processing, 2 successful, below 0 failed.
    #[must_use]
    pub fn payment_status(self) -> i64 {
        match self {
            Self::Created => 0,
            Self::Prepared | Self::Debited | Self::Hanging => 1,
            Self::Successful => 2,
            Self::Cancelled => -5017,
            Self::Refused => -1,
            Self::Returned => -9,
            Self::Reversed => -2,
        }
    }

    /// Its name on the page.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Prepared => "prepared",
            Self::Debited => "debited",
            Self::Successful => "successful",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Returned => "returned",
            Self::Hanging => "hanging",
            Self::Reversed => "reversed",
        }
    }
}

/// One attempt to pay an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The order, `merchant_trans_id`.
    pub order: String,
    /// The attempt's id.
    pub click_trans_id: u64,
    /// The payment's number, `payment_id` in the Merchant API.
    pub click_paydoc_id: u64,
    /// So'm, as the pay link wrote it.
    pub amount: String,
    /// The same in tiyin.
    pub amount_tiyin: i64,
    /// What it has come to.
    pub state: AttemptState,
    /// Why, in words.
    pub note: String,
    /// What the merchant refused with, where it did.
    pub refusal: Option<i64>,
    /// The merchant's id, from its answer to the Prepare.
    pub merchant_prepare_id: Option<String>,
    /// Taken from the buyer.
    pub debited_tiyin: i64,
    /// Given back to the buyer.
    pub returned_tiyin: i64,
    /// Completes (`error=0`) that the merchant answered with 0, lost answers included.
    pub confirmed: u32,
    /// Completes (`error=0`) that the merchant answered with -4, lost answers included.
    pub already_paid: u32,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// What was sent and answered, oldest first.
    pub messages: Vec<Exchange>,
    /// Messages beyond the limit.
    pub messages_omitted: u32,
}

impl Attempt {
    /// Times the merchant acknowledged the money.
    #[must_use]
    pub fn acknowledged(&self) -> u32 {
        self.confirmed + self.already_paid
    }
}

/// An order and every attempt to pay it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// `merchant_trans_id`.
    pub order: String,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
}

impl Payment {
    /// Taken from the buyer, in tiyin, over all attempts.
    #[must_use]
    pub fn debited_tiyin(&self) -> i64 {
        self.attempts.iter().map(|attempt| attempt.debited_tiyin).sum()
    }

    /// Given back, in tiyin, over all attempts.
    #[must_use]
    pub fn returned_tiyin(&self) -> i64 {
        self.attempts.iter().map(|attempt| attempt.returned_tiyin).sum()
    }

    /// Times the merchant acknowledged money for this order.
    #[must_use]
    pub fn acknowledged(&self) -> u32 {
        self.attempts.iter().map(Attempt::acknowledged).sum()
    }

    /// The attempt that went furthest, the newest of these: what a status by order speaks of.
    #[must_use]
    pub fn foremost(&self) -> Option<&Attempt> {
        let rank = |attempt: &&Attempt| match attempt.state {
            AttemptState::Successful => 3,
            AttemptState::Debited | AttemptState::Hanging => 2,
            AttemptState::Prepared => 1,
            _ => 0,
        };
        self.attempts.iter().max_by_key(rank)
    }
}
