//! As much of an HTTP/1.1 answer as a measurement needs: status, length, and on request one header.
//!
//! Called for every answer by the connection. It must never allocate, and it never guesses: an answer without a
//! content length is refused, because its end could not be told from a stall.

use memchr::{memchr, memmem};

const LENGTH: &[u8] = b"content-length:";
const SET_COOKIE: &[u8] = b"set-cookie:";

/// One complete answer, borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub(crate) status: &'a [u8],
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// More bytes are to come.
    Partial,
    Complete(Answer<'a>),
    /// Not an answer this program can measure; the sentence says why.
    Unusable(&'static str),
}

pub(crate) fn parse<'a>(bytes: &'a [u8], head_end: &memmem::Finder<'_>) -> Parsed<'a> {
    let Some(end) = head_end.find(bytes) else {
        return Parsed::Partial;
    };
    let Some((head, rest)) = bytes.split_at_checked(end) else {
        return Parsed::Partial;
    };
    let body = rest.get(4..).unwrap_or_default();
    let Some(status) = head.strip_prefix(b"HTTP/1.1 ").and_then(|line| line.get(..3)) else {
        return Parsed::Unusable("the answer does not start with HTTP/1.1 and a status");
    };
    let Some(length) = header(head, LENGTH).and_then(number) else {
        return Parsed::Unusable("the answer has no content-length");
    };
    match body.len() {
        have if have < length => Parsed::Partial,
        have if have > length => Parsed::Unusable("the answer is longer than its content-length"),
        _ => Parsed::Complete(Answer { status, head, body }),
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn is_ok(&self) -> bool {
        self.status == b"200"
    }

    /// What follows the headers.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// `name=value` of the first cookie that the answer sets.
    pub(crate) fn cookie(&self) -> Option<&'a [u8]> {
        let value = header(self.head, SET_COOKIE)?;
        let end = memchr(b';', value).unwrap_or(value.len());
        value.get(..end)
    }
}

/// The decimal number that `text` is.
pub(crate) fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + usize::from(digit - b'0')))
}

/// The value of the first header called `name` (lower case, with its colon).
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = head;
    while let Some(end) = memchr(b'\n', rest) {
        rest = rest.get(end + 1..)?;
        let found = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if found {
            let value = rest.get(name.len()..)?;
            let end = memchr(b'\r', value).unwrap_or(value.len());
            return value.get(..end).map(<[u8]>::trim_ascii);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed<'_> {
        parse(text.as_bytes(), &memmem::Finder::new(b"\r\n\r\n"))
    }

    #[test]
    fn a_whole_answer_is_read() {
        let text = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=s%3Aabc; Path=/\r\nContent-Length: 4\r\n\r\n1234";
        let Parsed::Complete(answer) = parsed(text) else { panic!("not complete") };
        assert!(answer.is_ok());
        assert_eq!(answer.body, b"1234");
        assert_eq!(answer.cookie(), Some(&b"sid=s%3Aabc"[..]));
        assert_eq!(number(answer.body), Some(1234));
    }

    #[test]
    fn every_prefix_of_an_answer_is_partial() {
        let text = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno";
        for end in 0..text.len() {
            assert_eq!(parsed(&text[..end]), Parsed::Partial, "{end}");
        }
        assert!(matches!(parsed(text), Parsed::Complete(answer) if !answer.is_ok()));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(matches!(parsed("HTTP/1.1 200 OK\r\nx: y\r\n\r\n"), Parsed::Unusable(_)));
        assert!(matches!(parsed("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"), Parsed::Unusable(_)));
        assert!(matches!(parsed("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na"), Parsed::Unusable(_)));
    }
}
