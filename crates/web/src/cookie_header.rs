//! Finding our cookie in the request's `Cookie` headers.
//!
//! A hand-written scan over the header's bytes: it allocates nothing, takes every shape a browser or an attacker
//! may send, and never panics. Used by the layer on every request; whether a value is ours is the signature's
//! business, not this file's.

use http::header::{COOKIE, GetAll, HeaderMap, HeaderValue};

/// Cookies of one name that are looked at in one request. Each costs a signature check, and an honest browser sends
/// one for each path and domain that it was set for.
pub const COOKIES_TRIED_MAX: usize = 8;

/// Stands in for a value that is not UTF-8: signed by its looks, but malformed, so that the log says so.
const UNREADABLE: &str = "s:";

/// The values of the cookies called `name`, in the order in which they came, without surrounding quotes.
///
/// Every `Cookie` line counts (HTTP/2 splits them), and at most [`COOKIES_TRIED_MAX`] values are given.
///
/// ```
/// use http::{HeaderMap, header::COOKIE};
///
/// let mut headers = HeaderMap::new();
/// headers.append(COOKIE, "theme=dark; sid=first".parse()?);
/// headers.append(COOKIE, "sid=\"second\"; mysid=no".parse()?);
/// assert_eq!(sessile::cookie_values(&headers, "sid").collect::<Vec<_>>(), ["first", "second"]);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn cookie_values<'h>(headers: &'h HeaderMap, name: &'h str) -> CookieValues<'h> {
    let lines: GetAll<'h, HeaderValue> = headers.get_all(COOKIE);
    CookieValues { lines: lines.into_iter(), rest: &[], name: name.as_bytes(), left: COOKIES_TRIED_MAX }
}

/// What [`cookie_values`] gives.
#[derive(Debug)]
pub struct CookieValues<'h> {
    lines: http::header::ValueIter<'h, HeaderValue>,
    rest: &'h [u8],
    name: &'h [u8],
    left: usize,
}

impl<'h> CookieValues<'h> {
    fn next_pair(&mut self) -> Option<&'h [u8]> {
        while self.rest.is_empty() {
            self.rest = self.lines.next()?.as_bytes();
        }
        let (pair, rest) = match self.rest.iter().position(|b| *b == b';') {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(pair)
    }
}

impl<'h> Iterator for CookieValues<'h> {
    type Item = &'h str;

    fn next(&mut self) -> Option<&'h str> {
        if self.left == 0 {
            return None;
        }
        loop {
            let pair = self.next_pair()?.trim_ascii_start();
            let Some(after) = pair.strip_prefix(self.name) else {
                continue;
            };
            let Some(value) = after.trim_ascii_start().strip_prefix(b"=") else {
                continue;
            };
            self.left -= 1;
            return Some(std::str::from_utf8(unquoted(value.trim_ascii())).unwrap_or(UNREADABLE));
        }
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan<'h>(headers: &'h HeaderMap, name: &'h str) -> Vec<&'h str> {
        cookie_values(headers, name).collect()
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    #[test]
    fn every_shape_of_a_cookie_header() {
        let cases: &[(&[u8], &[&str])] = &[
            (b"", &[]),
            (b";", &[]),
            (b";;; ;", &[]),
            (b"sid", &[]),
            (b"sid=", &[""]),
            (b"sid==", &["="]),
            (b"=sid", &[]),
            (b"sid=a", &["a"]),
            (b"sid=a;", &["a"]),
            (b"sid=a;sid=b", &["a", "b"]),
            (b"  sid = a  ;x=y", &["a"]),
            (b"\tsid=a", &["a"]),
            (b"sid=\"a\"", &["a"]),
            (b"sid=\"a", &["\"a"]),
            (b"sid=\"", &["\""]),
            (b"sid=\"\"", &[""]),
            (b"Sid=a", &[]),
            (b"sidx=a; xsid=b; sid.sig=c", &[]),
            (b"x=sid=a", &[]),
            (b"x=\"sid=a\"; sid=b", &["b"]),
            (b"sid=a=b=c", &["a=b=c"]),
            (b"sid=s%3Aabc.def", &["s%3Aabc.def"]),
            (b"sid=\xff\xfe; sid=b", &[UNREADABLE, "b"]),
            (b"$Version=1; sid=a; $Path=/", &["a"]),
            (b"sid=a,sid=b", &["a,sid=b"]),
        ];
        for (line, expected) in cases {
            assert_eq!(scan(&headers(&[line]), "sid"), *expected, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn several_lines_are_one_list_and_the_list_has_an_end() {
        assert_eq!(scan(&headers(&[b"a=1; sid=x", b"", b"sid=y"]), "sid"), ["x", "y"]);
        let flood = "sid=s:a.b;".repeat(1000);
        assert_eq!(scan(&headers(&[flood.as_bytes()]), "sid").len(), COOKIES_TRIED_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
            let map: HeaderMap =
                lines.iter().filter_map(|l| Some((COOKIE, HeaderValue::from_bytes(l).ok()?))).collect();
            prop_assert!(scan(&map, "sid").len() <= COOKIES_TRIED_MAX);
        }

        #[test]
        fn what_a_browser_sends_is_found(before in "([a-z]{1,5}=[a-z]{0,5}; ){0,5}", value in "[!#-+\\--:<-~]{0,40}") {
            prop_assume!(!before.contains("sid="));
            let line = format!("{before}sid={value}; last=1");
            let headers = headers(&[line.as_bytes()]);
            prop_assert_eq!(scan(&headers, "sid"), [value.as_str()]);
        }
    }
}
