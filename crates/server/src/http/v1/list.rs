//! One page of a list: how many rows, from where on, and what else was asked for. A parameter that is not known is
//! refused: a filter with a typing error would show everything.

use crate::http::problem::Problem;
use crate::limits::LIST_ROWS;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sessile::Timestamp;
use sessile_core::ledger::{Cursor, PAGE_MAX, Page, Record};

/// Bytes of a cursor that are read.
const CURSOR_CHARS_MAX: usize = 512;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Listing<const N: usize> {
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: usize,
    /// The list's own parameters, in the order in which they were named.
    pub(crate) filters: [Option<String>; N],
}

impl<const N: usize> Listing<N> {
    /// Reads a query.
    pub(crate) fn read(query: Option<&str>, names: [&'static str; N]) -> Result<Self, Problem> {
        let mut listing = Self { after: None, limit: LIST_ROWS, filters: std::array::from_fn(|_| None) };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "cursor" => {
                    let cursor = cursor_of(&value).ok_or_else(|| {
                        Problem::invalid_parameter("`cursor` is the `nextCursor` of the page before.")
                    })?;
                    listing.after = Some(cursor);
                }
                "limit" => {
                    let rows = value.parse().ok().filter(|rows| (1..=PAGE_MAX).contains(rows));
                    listing.limit = rows.ok_or_else(|| {
                        Problem::invalid_parameter(&format!("`limit` is a number from 1 to {PAGE_MAX}."))
                    })?;
                }
                other => {
                    let at = names.iter().position(|known| *known == other);
                    let place = at.and_then(|at| listing.filters.get_mut(at)).ok_or_else(|| {
                        let known = [&["cursor", "limit"][..], &names].concat().join("`, `");
                        Problem::invalid_parameter(&format!("This list knows the parameters `{known}`."))
                    })?;
                    *place = Some(value.into_owned());
                }
            }
        }
        Ok(listing)
    }
}

/// A page as it is answered.
pub(crate) fn page_of(page: Page<Record>, view: impl Fn(Record) -> Option<Value>) -> Value {
    let next = page.next.as_ref().map(text_of);
    json!({ "data": page.rows.into_iter().filter_map(view).collect::<Vec<_>>(), "nextCursor": next })
}

/// Opaque to callers: nothing in it is promised.
pub(crate) fn text_of(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", cursor.created_at.unix_ms(), cursor.id))
}

/// The reverse of [`text_of`].
pub(crate) fn cursor_of(text: &str) -> Option<Cursor> {
    if text.len() > CURSOR_CHARS_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = text.split_once(':')?;
    let visible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    let created_at = Timestamp::from_unix_ms(at.parse().ok()?);
    (visible && (Timestamp::EPOCH..=Timestamp::FAR).contains(&created_at))
        .then(|| Cursor { created_at, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { created_at: Timestamp::from_unix_ms(1_800_000_000_123), id: "pay_a:b".into() };
        assert_eq!(cursor_of(&text_of(&cursor)), Some(cursor));
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for bad in
            ["", "%", "x", &encoded("1"), &encoded(":a"), &encoded("1:"), &encoded("1:a\0"), &encoded("-1:a")]
        {
            assert_eq!(cursor_of(bad), None, "{bad}");
        }
        assert_eq!(cursor_of(&encoded(&format!("{}:a", i64::MAX))), None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let read = |query: &str| Listing::read(Some(query), ["status"]);
        let listing = read("status=failed&limit=100").unwrap();
        assert_eq!((listing.limit, listing.filters), (100, [Some("failed".to_owned())]));
        for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "staus=failed"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(Listing::read(None, []).unwrap().limit, LIST_ROWS);
    }
}
