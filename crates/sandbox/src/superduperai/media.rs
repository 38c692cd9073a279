//! The videos: six short test patterns (VP8 in WebM, two seconds, a number on a colour), made unique by the file's id
//! in their title tag, and served in ranges as a browser asks for them.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::state::App;

const PATTERNS: [&[u8]; 6] = [
    include_bytes!("media/pattern-1.webm"),
    include_bytes!("media/pattern-2.webm"),
    include_bytes!("media/pattern-3.webm"),
    include_bytes!("media/pattern-4.webm"),
    include_bytes!("media/pattern-5.webm"),
    include_bytes!("media/pattern-6.webm"),
];
/// What each one is filled with.
const COLOURS: [&str; 6] = ["#2448d8", "#c2410c", "#15803d", "#7c3aed", "#be185d", "#0f766e"];
/// Stands in every pattern's title tag, to be replaced by a file's id of the same length.
const PLACEHOLDER: &[u8] = b"00000000-0000-0000-0000-000000000000";

fn which(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0) % PATTERNS.len()
}

/// The bytes of one file.
pub(crate) fn video(number: u64, file_id: &str) -> Vec<u8> {
    let mut bytes = PATTERNS[which(number)].to_vec();
    let at = bytes.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER);
    if let (Some(at), true) = (at, file_id.len() == PLACEHOLDER.len()) {
        bytes[at..at + PLACEHOLDER.len()].copy_from_slice(file_id.as_bytes());
    }
    bytes
}

fn thumbnail(number: u64) -> String {
    let at = which(number);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 320 180'><rect width='320' height='180' fill='{}'/>\
         <text x='160' y='115' font-family='sans-serif' font-size='96' font-weight='700' text-anchor='middle' \
         fill='#fff'>{}</text></svg>",
        COLOURS[at],
        at + 1
    )
}

/// `GET /sandbox/superduperai/media/{file}`: `<id>.webm` or `<id>.svg`, for whoever knows the address.
pub(crate) async fn media(State(app): State<App>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let (id, kind) = file.rsplit_once('.').unwrap_or((&file, ""));
    let Some(generation) = app.generation(id).filter(|generation| generation.url.is_some()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (bytes, content_type) = match kind {
        "webm" => (Bytes::from(video(generation.number, id)), "video/webm"),
        "svg" => (Bytes::from(thumbnail(generation.number)), "image/svg+xml"),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    app.count("media_served");
    let mut response = ranged(bytes, headers.get(RANGE).and_then(|range| range.to_str().ok()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// 206 for one range that can be had, 416 for one that cannot, everything otherwise.
fn ranged(bytes: Bytes, range: Option<&str>) -> Response {
    let size = bytes.len();
    let Some(wanted) =
        range.and_then(|range| range.strip_prefix("bytes=")).filter(|list| !list.contains(','))
    else {
        return bytes.into_response();
    };
    match span(wanted, size) {
        Ok(Some((start, end))) => {
            let mut response = (StatusCode::PARTIAL_CONTENT, bytes.slice(start..=end)).into_response();
            say_range(&mut response, &format!("bytes {start}-{end}/{size}"));
            response
        }
        Ok(None) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            say_range(&mut response, &format!("bytes */{size}"));
            response
        }
        // What is not understood is ignored (RFC 9110, 14.2).
        Err(_) => bytes.into_response(),
    }
}

fn say_range(response: &mut Response, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
}

/// First and last byte of `a-b`, `a-` or `-n`; `None` where there is nothing of it.
fn span(wanted: &str, size: usize) -> Result<Option<(usize, usize)>, std::num::ParseIntError> {
    let (first, last) = wanted.trim().split_once('-').unwrap_or((wanted, ""));
    if first.is_empty() {
        let count = last.parse::<usize>()?.min(size);
        return Ok((count > 0).then(|| (size - count, size - 1)));
    }
    let first = first.parse::<usize>()?;
    let last = if last.is_empty() { size.saturating_sub(1) } else { last.parse::<usize>()? };
    Ok((first < size && first <= last).then(|| (first, last.min(size - 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_has_room_for_a_files_id() {
        let id = "12345678-1234-4234-8234-123456789abc";
        for number in 0..6 {
            let bytes = video(number, id);
            assert_eq!(bytes.len(), PATTERNS[which(number)].len());
            assert!(bytes.windows(36).any(|window| window == id.as_bytes()), "pattern {number}");
            assert!(bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]), "pattern {number} is not EBML");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(span("0-", 10), Ok(Some((0, 9))));
        assert_eq!(span("2-5", 10), Ok(Some((2, 5))));
        assert_eq!(span("2-50", 10), Ok(Some((2, 9))));
        assert_eq!(span("-3", 10), Ok(Some((7, 9))));
        assert_eq!(span("10-", 10), Ok(None));
        assert_eq!(span("5-2", 10), Ok(None));
        assert_eq!(span("-0", 10), Ok(None));
        assert!(span("x-", 10).is_err());
    }
}
