//! CLICK's signature: MD5 over the raw fields and the secret, one after the other with nothing between.
//!
//! MD5 is CLICK's choice. It lets a stranger extend a signed text, but only by way of padding bytes (0x80, NUL) that no
//! field accepts. Comparing takes the same time whatever differs and whichever of our secrets is right.

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

/// Bytes of an MD5.
const DIGEST_BYTES: usize = 16;

/// The fields under the signature, exactly as received.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SignedText {
    pub(super) click_trans_id: String,
    pub(super) service_id: String,
    pub(super) merchant_trans_id: String,
    /// Complete has one, no other action does.
    pub(super) merchant_prepare_id: Option<String>,
    pub(super) amount: String,
    pub(super) action: String,
    pub(super) sign_time: String,
}

impl SignedText {
    /// Whether one of the secrets made this signature. Every secret is tried, also after one matched.
    pub(super) fn is_signed_by(&self, secrets: &[SecretString], sign_string: &str) -> bool {
        let Some(given) = hex(sign_string) else { return false };
        let matches = secrets.iter().map(|secret| self.digest(secret).ct_eq(&given));
        matches.fold(Choice::from(0), |any, one| any | one).into()
    }

    fn digest(&self, secret: &SecretString) -> [u8; DIGEST_BYTES] {
        let mut md5 = Md5::new();
        md5.update(&self.click_trans_id);
        md5.update(&self.service_id);
        md5.update(secret.expose_secret());
        md5.update(&self.merchant_trans_id);
        md5.update(self.merchant_prepare_id.as_deref().unwrap_or_default());
        md5.update(&self.amount);
        md5.update(&self.action);
        md5.update(&self.sign_time);
        md5.finalize().into()
    }
}

/// 32 hexadecimal digits. CLICK writes them in lower case; the other case says the same.
fn hex(text: &str) -> Option<[u8; DIGEST_BYTES]> {
    let mut bytes = [0; DIGEST_BYTES];
    if text.len() != 2 * DIGEST_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *place = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare() -> SignedText {
        SignedText {
            click_trans_id: "123456789".into(),
            service_id: "12345".into(),
            merchant_trans_id: "ckabcdefghijklmnopqrstuv".into(),
            merchant_prepare_id: None,
            amount: "1000.00".into(),
            action: "0".into(),
            sign_time: "2026-11-21 10:00:00".into(),
        }
    }

    fn complete() -> SignedText {
        SignedText { merchant_prepare_id: Some("1000000001".into()), action: "1".into(), ..prepare() }
    }

    fn secrets(list: &[&str]) -> Vec<SecretString> {
        list.iter().map(|secret| SecretString::from(*secret)).collect()
    }

    #[test]
    fn known_signatures_hold() {
        let ours = secrets(&["test_secret_key"]);
        let whole = SignedText { amount: "1000".into(), ..prepare() };
        let big = SignedText { click_trans_id: "9007199254740993".into(), ..complete() };
        for (text, signature) in [
            (prepare(), "1bfd197c3b45263cccc6878881ef09c2"),
            (whole, "efbe060d4131d354757cbc3ab933e4f8"),
            (complete(), "30c6a6b1ecd1cc65eb38305155a55ba4"),
            (big, "c743205c0c69576dc21d14ff4637945b"),
        ] {
            assert!(text.is_signed_by(&ours, signature), "{signature}");
            assert!(text.is_signed_by(&ours, &signature.to_uppercase()), "{signature}");
            assert!(!text.is_signed_by(&secrets(&["other"]), signature), "{signature}");
        }
    }

    #[test]
    fn any_secret_of_the_rotation_is_good_and_no_secret_is_not() {
        let signature = "1bfd197c3b45263cccc6878881ef09c2";
        for list in
            [&["test_secret_key", "old"][..], &["new", "test_secret_key"], &["a", "test_secret_key", "b"]]
        {
            assert!(prepare().is_signed_by(&secrets(list), signature), "{list:?}");
        }
        assert!(!prepare().is_signed_by(&[], signature));
    }

    #[test]
    fn every_bit_of_the_signature_counts() {
        let ours = secrets(&["test_secret_key"]);
        let right = hex("1bfd197c3b45263cccc6878881ef09c2").unwrap();
        for bit in 0..128 {
            let mut wrong = right;
            wrong[bit / 8] ^= 1 << (bit % 8);
            let text: String = wrong.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!prepare().is_signed_by(&ours, &text), "bit {bit}");
        }
        for shape in
            ["", "1bfd", "1bfd197c3b45263cccc6878881ef09c2 ", "gbfd197c3b45263cccc6878881ef09c2", "é"]
        {
            assert!(!prepare().is_signed_by(&ours, shape), "{shape:?}");
        }
        assert_eq!(hex("+bfd197c3b45263cccc6878881ef09c2"), None);
    }
}
