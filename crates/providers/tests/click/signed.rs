//! Callbacks as CLICK sends them, and as somebody else might.

use md5::{Digest, Md5};
use secrecy::SecretString;
use sessile_providers::click::{self, Message, Refusal};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const SECRET: &str = "test_secret_key";
pub(crate) const SERVICE: u64 = 12345;
pub(crate) const ORDER: &str = "ckabcdefghijklmnopqrstuv";

/// The fields of one callback, in order.
#[derive(Clone)]
pub(crate) struct Sent(Vec<(&'static str, String)>);

impl Sent {
    pub(crate) fn prepare() -> Self {
        let fields = [
            ("click_trans_id", "123456789"),
            ("service_id", "12345"),
            ("click_paydoc_id", "987654321"),
            ("merchant_trans_id", ORDER),
            ("amount", "1000.00"),
            ("action", "0"),
            ("error", "0"),
            ("error_note", "Success"),
            ("sign_time", "2026-11-21 10:00:00"),
            ("sign_string", "1bfd197c3b45263cccc6878881ef09c2"),
        ];
        Self(fields.map(|(name, value)| (name, value.to_owned())).into())
    }

    pub(crate) fn complete() -> Self {
        Self::prepare()
            .with("merchant_prepare_id", "1000000001")
            .with("action", "1")
            .with("sign_string", "30c6a6b1ecd1cc65eb38305155a55ba4")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| *other != name);
        self
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    /// The text under the signature; the prepare id is part of it in a Complete only.
    pub(crate) fn text(&self, secret: &str) -> String {
        let prepare_id = if self.get("action") == "1" { self.get("merchant_prepare_id") } else { "" };
        let before = ["click_trans_id", "service_id"].map(|name| self.get(name)).concat();
        let after = ["amount", "action", "sign_time"].map(|name| self.get(name)).concat();
        [&before, secret, self.get("merchant_trans_id"), prepare_id, &after].concat()
    }

    /// Signed anew, as CLICK would.
    pub(crate) fn signed(self) -> Self {
        self.signed_with(SECRET)
    }

    pub(crate) fn signed_with(self, secret: &str) -> Self {
        let digest = Md5::digest(self.text(secret));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.with("sign_string", hex)
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish().into_bytes()
    }

    /// What we make of it.
    pub(crate) fn received(&self) -> Result<Message, Refusal> {
        received(Some(FORM), &self.body())
    }

    /// What a service with another secret makes of it.
    pub(crate) fn received_under(&self, secret: &str) -> Result<Message, Refusal> {
        click::parse(Some(FORM), &self.body())?.verify(&[SecretString::from(secret)], SERVICE)
    }
}

pub(crate) fn received(content_type: Option<&str>, body: &[u8]) -> Result<Message, Refusal> {
    click::parse(content_type, body)?.verify(&[SecretString::from(SECRET)], SERVICE)
}
