//! The signed cookie value of express-session (npm `cookie-signature`), both ways.
//!
//! `value = "s:" + sid + "." + base64(HMAC-SHA256(secret, sid))` without padding, then `encodeURIComponent`.
//! The first secret signs, every secret verifies, compared in constant time.

use super::id::LoginId;
use crate::secret::SecretList;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// What JavaScript's `encodeURIComponent` leaves alone.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Longest cookie value that is looked at: an id of 255 characters, its signature, all of it percent-encoded.
pub const COOKIE_CHARS_MAX: usize = 1024;

/// 32 bytes in base64 without padding.
const SIGNATURE_CHARS: usize = 43;

/// Signs and verifies cookie values. The keys are prepared once.
#[derive(Clone)]
pub struct CookieSigner(Vec<Hmac<Sha256>>);

/// A cookie that named a session, and whether its signature is due for renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedId {
    /// The session it names.
    pub id: LoginId,
    /// Which secret signed it.
    pub signed_by: SignedBy,
}

/// Which secret of the list signed a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedBy {
    /// The first one, which signs new cookies.
    Current,
    /// A later one: the cookie is re-issued at once.
    Retired,
}

/// Why a cookie value names no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieFault {
    /// It does not begin with `s:`; somebody else's cookie of the same name.
    #[error("the cookie is not a signed session cookie")]
    Unsigned,
    /// Too long, broken percent-encoding, no signature, or an id with impossible characters.
    #[error("the cookie is malformed")]
    Malformed,
    /// No secret of the list made this signature.
    #[error(
        "the cookie's signature is wrong: it was changed, or signed with a secret that is no longer listed"
    )]
    BadSignature,
}

impl CookieSigner {
    /// Prepares every key of the list.
    #[must_use]
    pub fn new(secrets: &SecretList) -> Self {
        let keyed =
            |secret: &crate::secret::Secret| Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok();
        Self(secrets.iter().filter_map(keyed).collect())
    }

    /// The cookie value that names `id`, ready for `Set-Cookie`.
    #[must_use]
    pub fn sign(&self, id: &LoginId) -> String {
        let mut value = String::with_capacity(96);
        value.push_str("s%3A");
        value.extend(utf8_percent_encode(id.expose(), COMPONENT));
        value.push('.');
        let mut signature = [0_u8; SIGNATURE_CHARS];
        if let Some(key) = self.0.first()
            && STANDARD_NO_PAD.encode_slice(mac(key, id.expose()), &mut signature).is_ok()
        {
            // Of base64's alphabet only these two are encoded.
            for byte in signature {
                match byte {
                    b'+' => value.push_str("%2B"),
                    b'/' => value.push_str("%2F"),
                    byte => value.push(char::from(byte)),
                }
            }
        }
        value
    }

    /// Reads a cookie value, percent-encoded or not.
    ///
    /// # Errors
    /// [`CookieFault`] says why it names no session; the store need not be asked.
    pub fn verify(&self, value: &str) -> Result<SignedId, CookieFault> {
        if value.len() > COOKIE_CHARS_MAX {
            return Err(CookieFault::Malformed);
        }
        let plain: Cow<'_, str> = if value.contains('%') {
            percent_decode_str(value).decode_utf8().map_err(|_| CookieFault::Malformed)?
        } else {
            Cow::Borrowed(value)
        };
        let signed = plain.strip_prefix("s:").ok_or(CookieFault::Unsigned)?;
        let (sid, signature) = signed.rsplit_once('.').ok_or(CookieFault::Malformed)?;
        let id = LoginId::parse(sid).ok_or(CookieFault::Malformed)?;
        let position = self.signer_of(sid, signature).ok_or(CookieFault::BadSignature)?;
        Ok(SignedId { id, signed_by: if position == 0 { SignedBy::Current } else { SignedBy::Retired } })
    }

    /// The comparison is over the base64 text, as the original does it: a signature has one spelling only.
    fn signer_of(&self, sid: &str, signature: &str) -> Option<usize> {
        self.0.iter().position(|key| {
            let mut expected = [0_u8; SIGNATURE_CHARS];
            STANDARD_NO_PAD.encode_slice(mac(key, sid), &mut expected).is_ok()
                && bool::from(expected.as_slice().ct_eq(signature.as_bytes()))
        })
    }
}

fn mac(key: &Hmac<Sha256>, sid: &str) -> [u8; 32] {
    key.clone().chain_update(sid.as_bytes()).finalize().into_bytes().into()
}

impl std::fmt::Debug for CookieSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CookieSigner({} secrets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signer(secrets: &str) -> CookieSigner {
        CookieSigner::new(&SecretList::parse(secrets).unwrap())
    }

    /// Vectors of npm `cookie-signature` and express-session 1.19.
    #[test]
    fn signs_exactly_as_express_session_does() {
        let hello = LoginId::parse("hello").unwrap();
        assert_eq!(
            signer("tobiiscool").sign(&hello),
            "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI"
        );
        let id = LoginId::parse("eKeYlF1DR6AtVkeFZK9vEIHSZT8e0jqZ").unwrap();
        let value = "s%3AeKeYlF1DR6AtVkeFZK9vEIHSZT8e0jqZ.wwIFJMJ53PA3yxwrjLmYP7L5n1q6WIkY%2FJpAmeVyDSc";
        assert_eq!(signer("keyboard cat").sign(&id), value);
        assert_eq!(signer("keyboard cat").verify(value).unwrap().id, id);
        let plain = "s:eKeYlF1DR6AtVkeFZK9vEIHSZT8e0jqZ.wwIFJMJ53PA3yxwrjLmYP7L5n1q6WIkY/JpAmeVyDSc";
        assert_eq!(signer("keyboard cat").verify(plain).unwrap().id, id);
    }

    #[test]
    fn an_old_secret_verifies_and_asks_for_renewal() {
        let id = LoginId::parse("abc").unwrap();
        let old = signer("old").sign(&id);
        assert_eq!(signer("new,old").verify(&old).unwrap().signed_by, SignedBy::Retired);
        assert_eq!(signer("old,new").verify(&old).unwrap().signed_by, SignedBy::Current);
        assert_eq!(signer("new").verify(&old), Err(CookieFault::BadSignature));
    }

    #[test]
    fn malformed_values_are_told_apart() {
        let s = signer("k");
        assert_eq!(s.verify("abc"), Err(CookieFault::Unsigned));
        assert_eq!(s.verify(""), Err(CookieFault::Unsigned));
        assert_eq!(s.verify("s:abc"), Err(CookieFault::Malformed));
        assert_eq!(s.verify("s:.x"), Err(CookieFault::Malformed));
        assert_eq!(s.verify("s:a%00b.x"), Err(CookieFault::Malformed));
        assert_eq!(s.verify("s:%ff.x"), Err(CookieFault::Malformed));
        assert_eq!(s.verify("s:abc."), Err(CookieFault::BadSignature));
        assert_eq!(s.verify(&format!("s:{}", "a".repeat(2000))), Err(CookieFault::Malformed));
    }

    proptest! {
        #[test]
        fn no_input_panics(value in ".{0,200}") {
            let _ = signer("k").verify(&value);
        }

        #[test]
        fn every_id_survives_the_round_trip(sid in "[!-~]{1,255}") {
            let id = LoginId::parse(&sid).unwrap();
            prop_assert_eq!(signer("k").verify(&signer("k").sign(&id)).unwrap().id, id);
        }

        #[test]
        fn one_changed_character_is_refused(sid in "[A-Za-z0-9_-]{32}", at in 0_usize..43, with in "[A-Za-z0-9+/]") {
            let id = LoginId::parse(&sid).unwrap();
            let good = percent_decode_str(&signer("k").sign(&id)).decode_utf8().unwrap().into_owned();
            let mut bad = good.clone();
            bad.replace_range(2 + 33 + at..2 + 33 + at + 1, &with);
            prop_assume!(bad != good);
            prop_assert_eq!(signer("k").verify(&bad), Err(CookieFault::BadSignature));
        }
    }
}
