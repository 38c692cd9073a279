//! CLICK's two callbacks, from bytes to a message that CLICK is known to have sent.
//!
//! [`parse`] checks size, form and grammar; [`Callback::verify`] checks the signature, then the service, then the action.
//! Nothing of a callback can be read before it is verified, so no order of guards but this one can be written. The
//! caller goes on with lookup (-5, -6), binding (-6), CLICK's own error (-9), amount (-2) and state.
//!
//! `error`, `error_note` and `click_paydoc_id` are NOT under the signature.

use secrecy::SecretString;
use std::fmt;

use super::form::Fields;
use super::grammar::{self, Amount};
use super::order::Order;
use super::refusal::Refusal;
use super::signature::SignedText;

/// The smallest `merchant_prepare_id` that we give out. With ten digits always, a signed text has one reading.
pub const PREPARE_ID_MIN: i64 = 1_000_000_000;
/// The largest; CLICK's field is a 32-bit integer.
pub const PREPARE_ID_MAX: i64 = 2_147_483_647;

/// Characters of CLICK's own words that are kept.
const NOTE_CHARS_MAX: usize = 200;

/// What CLICK asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// May this payment go on? Nothing has been taken from the customer yet.
    Prepare,
    /// The customer has paid, or (with a negative `error`) will not.
    Complete {
        /// `merchant_prepare_id`; `None` is a number outside [`PREPARE_ID_MIN`]`..=`[`PREPARE_ID_MAX`], which we never
        /// gave out: answer -6.
        prepare_id: Option<i64>,
    },
}

/// A callback that CLICK signed for our service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// CLICK's number of this attempt to pay; positive.
    pub click_trans_id: i64,
    /// CLICK's number of the payment, which the customer sees and the Merchant API takes. Not signed: bind it at Prepare.
    pub paydoc_id: i64,
    /// Which payment.
    pub order: Order,
    /// How much.
    pub amount: Amount,
    /// Prepare or Complete.
    pub action: Action,
    /// 0, or negative where CLICK cancels. Not signed.
    pub error: i32,
    /// CLICK's words about `error`, shortened; for the log. Not signed.
    pub error_note: String,
    /// `YYYY-MM-DD HH:mm:ss` by CLICK's clock. An old one is no reason to refuse.
    pub sign_time: String,
}

/// A well-written callback of unknown origin.
#[derive(Clone)]
pub struct Callback {
    signed: SignedText,
    sign_string: String,
    service_id: u64,
    click_trans_id: i64,
    paydoc_id: i64,
    order: Order,
    amount: Amount,
    /// `None` is an action that does not exist.
    action: Option<Action>,
    error: i32,
    error_note: String,
}

/// Reads a callback's body.
///
/// # Errors
/// A [`Refusal`] whose code is -8.
pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Callback, Refusal> {
    let mut fields = Fields::read(content_type, body)?;
    let mut signed = SignedText {
        click_trans_id: fields.take("click_trans_id")?,
        service_id: fields.take("service_id")?,
        merchant_trans_id: fields.take("merchant_trans_id")?,
        merchant_prepare_id: None,
        amount: fields.take("amount")?,
        action: fields.take("action")?,
        sign_time: fields.take("sign_time")?,
    };
    let sign_string = fields.take("sign_string")?;
    let paydoc = fields.take("click_paydoc_id")?;
    let error = fields.take("error")?;
    let error_note = fields.take("error_note")?;
    let action = match grammar::canonical(&signed.action).ok_or(Refusal::Malformed("action"))? {
        0 => Some(Action::Prepare),
        1 => {
            let text = fields.take("merchant_prepare_id")?;
            let number = grammar::canonical(&text).ok_or(Refusal::Malformed("merchant_prepare_id"))?;
            signed.merchant_prepare_id = Some(text);
            Some(Action::Complete { prepare_id: given_out(number) })
        }
        _ => None,
    };
    // Another wrong signature is -1; none at all is a field that was not sent.
    if sign_string.is_empty() {
        return Err(Refusal::Missing("sign_string"));
    }
    if !grammar::is_sign_time(&signed.sign_time) {
        return Err(Refusal::Malformed("sign_time"));
    }
    Ok(Callback {
        service_id: grammar::canonical(&signed.service_id).ok_or(Refusal::Malformed("service_id"))?,
        click_trans_id: grammar::canonical_i64(&signed.click_trans_id, 1)
            .ok_or(Refusal::Malformed("click_trans_id"))?,
        paydoc_id: grammar::canonical_i64(&paydoc, 0).ok_or(Refusal::Malformed("click_paydoc_id"))?,
        order: Order::parse(&signed.merchant_trans_id).ok_or(Refusal::Malformed("merchant_trans_id"))?,
        amount: grammar::amount(&signed.amount).ok_or(Refusal::Malformed("amount"))?,
        action,
        error: grammar::canonical_signed(&error).ok_or(Refusal::Malformed("error"))?,
        error_note: error_note.chars().take(NOTE_CHARS_MAX).collect(),
        sign_string,
        signed,
    })
}

impl Callback {
    /// Proves who sent it and for whom. Only here does a callback become readable.
    ///
    /// Every secret is tried, in the same time whether or not one matches.
    ///
    /// # Errors
    /// [`Refusal::Signature`] (-1), then [`Refusal::Service`] (-8), then [`Refusal::Action`] (-3).
    pub fn verify(self, secrets: &[SecretString], service_id: u64) -> Result<Message, Refusal> {
        if !self.signed.is_signed_by(secrets, &self.sign_string) {
            return Err(Refusal::Signature);
        }
        if self.service_id != service_id {
            return Err(Refusal::Service);
        }
        Ok(Message {
            action: self.action.ok_or(Refusal::Action)?,
            click_trans_id: self.click_trans_id,
            paydoc_id: self.paydoc_id,
            order: self.order,
            amount: self.amount,
            error: self.error,
            error_note: self.error_note,
            sign_time: self.signed.sign_time,
        })
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

fn given_out(number: u64) -> Option<i64> {
    i64::try_from(number).ok().filter(|id| (PREPARE_ID_MIN..=PREPARE_ID_MAX).contains(id))
}
