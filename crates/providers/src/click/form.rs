//! The body of a callback as named fields, read strictly: what two readers could read differently is refused.
//!
//! The `url` crate replaces broken UTF-8 and keeps repeated names; a signed text must not be read so.

use percent_encoding::percent_decode;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::refusal::Refusal;

/// The largest callback that is read. CLICK's own are under 1 KiB.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// The most fields that are read. CLICK's own callbacks have eleven.
pub const FIELDS_MAX: usize = 64;

const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of one callback, decoded.
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        // Parameters such as `charset` are tolerated: what is not UTF-8 is refused below, whatever they say.
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case(FORM) {
            return Err(Refusal::NotAForm);
        }
        let mut fields = HashMap::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FIELDS_MAX {
                return Err(Refusal::TooManyFields);
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(halves.next().unwrap_or_default())?;
            let value = decoded(halves.next().unwrap_or_default())?;
            match fields.entry(name) {
                Entry::Occupied(_) => return Err(Refusal::RepeatedField),
                Entry::Vacant(place) => place.insert(value),
            };
        }
        Ok(Self(fields))
    }

    /// Takes a field that must be there; it may be empty.
    pub(super) fn take(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.0.remove(name).ok_or(Refusal::Missing(name))
    }
}

fn decoded(bytes: &[u8]) -> Result<String, Refusal> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| Refusal::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(Refusal::ControlCharacter);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Fields, Refusal> {
        Fields::read(Some(FORM), body)
    }

    #[test]
    fn a_form_is_decoded_once() {
        let mut fields = read(b"&a=1%262&b=c+d%2B&&%63=%25%34%31&d&e=f=g&").unwrap();
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(|name| fields.take(name).unwrap()).into();
        assert_eq!(all, ["1&2", "c d+", "%41", "", "f=g"]);
        assert_eq!(fields.take("a"), Err(Refusal::Missing("a")));
    }

    #[test]
    fn only_a_form_is_read() {
        for good in
            [FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", "application/x-www-form-urlencoded;"]
        {
            assert!(Fields::read(Some(good), b"a=1").is_ok(), "{good}");
        }
        for bad in [None, Some(""), Some("application/json"), Some("multipart/form-data"), Some("text/plain")]
        {
            assert_eq!(Fields::read(bad, b"a=1").err(), Some(Refusal::NotAForm), "{bad:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        assert_eq!(read(b"a=1&b=2&a=1").err(), Some(Refusal::RepeatedField));
        assert_eq!(read(b"a=1&%61=2").err(), Some(Refusal::RepeatedField));
        assert_eq!(read(b"a=%ff").err(), Some(Refusal::NotUtf8));
        assert_eq!(read(b"a=\xff").err(), Some(Refusal::NotUtf8));
        for control in [&b"a=1%00"[..], b"a=1\0", b"a%0a=1", b"a=1%0D%0A", b"a=%7f", b"a=%C2%85"] {
            assert_eq!(read(control).err(), Some(Refusal::ControlCharacter), "{control:?}");
        }
    }

    #[test]
    fn size_and_count_have_limits() {
        let body = |bytes: usize| format!("a={}", "x".repeat(bytes - 2)).into_bytes();
        assert!(read(&body(BODY_BYTES_MAX)).is_ok());
        assert_eq!(read(&body(BODY_BYTES_MAX + 1)).err(), Some(Refusal::TooLarge));
        let many = |count: usize| (0..count).map(|n| format!("f{n}=1&")).collect::<String>();
        assert!(read(many(FIELDS_MAX).as_bytes()).is_ok());
        assert_eq!(read(many(FIELDS_MAX + 1).as_bytes()).err(), Some(Refusal::TooManyFields));
    }
}
