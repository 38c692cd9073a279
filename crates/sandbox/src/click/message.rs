//! One message to the merchant: Prepare or Complete, field by field, signed as late as possible.
//!
//! A field changed with [`Message::with`] is signed as changed; one changed with [`Message::tampered`] is changed on
//! the way, after signing. So a test can drive any message by hand, right or wrong.

use serde::{Deserialize, Serialize};

use super::sign::md5_hex;

/// Which of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// May this order be paid? `action=0`.
    Prepare,
    /// Money was taken, or the payment was cancelled. `action=1`.
    Complete,
}

impl Step {
    /// Its name on the page.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Complete => "complete",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tampering {
    Set(String, String),
    Omit(String),
    Append(String, String),
}

/// A message before it is signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    step: Step,
    fields: Vec<(String, String)>,
    tampering: Vec<Tampering>,
}

impl Message {
    /// A message with these fields; `sign_string` is not among them.
    pub(crate) fn new(step: Step, fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { step, fields: fields.iter().map(owned).collect(), tampering: Vec::new() }
    }

    /// Which of the two it is; decides which URL it goes to.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// A field's value as it will be signed.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// Sets or adds a field; the signature covers it.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<String>) -> Self {
        set(&mut self.fields, field, value.into());
        self
    }

    /// Leaves a field out; the signature is made without it.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.fields.retain(|(name, _)| name != field);
        self
    }

    /// Sets or adds a field after signing. With `sign_string` it replaces the signature itself.
    #[must_use]
    pub fn tampered(mut self, field: &str, value: impl Into<String>) -> Self {
        self.tampering.push(Tampering::Set(field.to_owned(), value.into()));
        self
    }

    /// Removes a field after signing.
    #[must_use]
    pub fn omitted(mut self, field: &str) -> Self {
        self.tampering.push(Tampering::Omit(field.to_owned()));
        self
    }

    /// Sends a field a second time, after signing.
    #[must_use]
    pub fn appended(mut self, field: &str, value: impl Into<String>) -> Self {
        self.tampering.push(Tampering::Append(field.to_owned(), value.into()));
        self
    }

    /// The signature Click's documents prescribe, over the raw strings. A `merchant_prepare_id` enters it where there
    /// is one.
    #[must_use]
    pub fn sign_string(&self, secret_key: &str) -> String {
        let field = |name| self.get(name).unwrap_or_default();
        md5_hex(&[
            field("click_trans_id"),
            field("service_id"),
            secret_key,
            field("merchant_trans_id"),
            field("merchant_prepare_id"),
            field("amount"),
            field("action"),
            field("sign_time"),
        ])
    }

    /// What goes over the wire, in order.
    #[must_use]
    pub fn signed(&self, secret_key: &str) -> Vec<(String, String)> {
        let mut fields = self.fields.clone();
        fields.push(("sign_string".into(), self.sign_string(secret_key)));
        for tampering in &self.tampering {
            match tampering {
                Tampering::Set(name, value) => set(&mut fields, name, value.clone()),
                Tampering::Omit(name) => fields.retain(|(known, _)| known != name),
                Tampering::Append(name, value) => fields.push((name.clone(), value.clone())),
            }
        }
        fields
    }
}

fn set(fields: &mut Vec<(String, String)>, field: &str, value: String) {
    match fields.iter_mut().find(|(name, _)| name == field) {
        Some(known) => known.1 = value,
        None => fields.push((field.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "test_secret_key";

    fn prepare(amount: &str) -> Message {
        Message::new(
            Step::Prepare,
            &[
                ("click_trans_id", "123456789"),
                ("service_id", "12345"),
                ("merchant_trans_id", "ckabcdefghijklmnopqrstuv"),
                ("amount", amount),
                ("action", "0"),
                ("sign_time", "2026-11-21 10:00:00"),
            ],
        )
    }

    fn complete() -> Message {
        prepare("1000.00").with("action", "1").with("merchant_prepare_id", "1000000001")
    }

    #[test]
    fn signatures_are_the_known_ones() {
        assert_eq!(prepare("1000.00").sign_string(SECRET), "1bfd197c3b45263cccc6878881ef09c2");
        assert_eq!(prepare("1000").sign_string(SECRET), "efbe060d4131d354757cbc3ab933e4f8");
        assert_eq!(complete().sign_string(SECRET), "30c6a6b1ecd1cc65eb38305155a55ba4");
        let wide = complete().with("click_trans_id", "9007199254740993");
        assert_eq!(wide.sign_string(SECRET), "c743205c0c69576dc21d14ff4637945b");
    }

    #[test]
    fn tampering_comes_after_the_signature() {
        let sent = prepare("1000.00").tampered("amount", "1.00").omitted("action").appended("amount", "2");
        let fields = sent.signed(SECRET);
        let value = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
        assert_eq!(value("sign_string"), Some("1bfd197c3b45263cccc6878881ef09c2"));
        assert_eq!((value("amount"), value("action")), (Some("1.00"), None));
        assert_eq!(fields.iter().filter(|(name, _)| name == "amount").count(), 2);
        let forged = prepare("1").tampered("sign_string", "x").signed(SECRET);
        assert_eq!(forged.last().unwrap().1, "x");
    }
}
