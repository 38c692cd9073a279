//! Where a sign-in leads when it is done: the page that asked for it, or the dashboard.
//!
//! The place comes from the address bar, so anybody may have written it. Only paths of this server pass; whatever a
//! browser could read as another site, and whatever does something when it is opened, is dropped.

use serde::Deserialize;
use url::Url;

/// Where a sign-in leads when nobody says otherwise.
pub(crate) const DASHBOARD: &str = "/dashboard";
/// Characters of a path with its query.
const CHARS_MAX: usize = 512;
/// A path is resolved against this, and has to stay there.
const HERE: &str = "https://here.invalid";
/// Opening these does something, or begins a sign-in again.
const NOT_PAGES: [&str; 5] = ["/logout", "/auth/", "/api/", "/v1/", "/debug/"];

/// `?returnTo=` of a sign-in.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(rename = "returnTo")]
    return_to: Option<String>,
}

impl Wanted {
    /// The page that was asked for, if it is one of ours.
    pub(crate) fn page(&self) -> Option<String> {
        self.return_to.as_deref().filter(|path| is_ours(path)).map(str::to_owned)
    }
}

/// `sign_in`, coming back to `path`.
pub(crate) fn sign_in_for(sign_in: &str, path: &str) -> String {
    if !is_ours(path) {
        return sign_in.to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("returnTo", path).finish();
    format!("{sign_in}?{query}")
}

fn is_ours(path: &str) -> bool {
    // Browsers read `\` as `/` and skip tabs and line breaks.
    let plain = path.len() <= CHARS_MAX && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = path.starts_with('/') && !path.starts_with("//");
    if !plain || !local {
        return false;
    }
    let resolved = Url::parse(HERE).and_then(|here| here.join(path).map(|url| (here, url)));
    resolved.is_ok_and(|(here, url)| {
        let inert = !NOT_PAGES.iter().any(|place| url.path().starts_with(place));
        // A path that comes out otherwise than it was written hides something, such as `/..//`.
        url.origin() == here.origin() && inert && format!("{}{path}", HERE) == url.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Option<String> {
        Wanted { return_to: Some(text.to_owned()) }.page()
    }

    #[test]
    fn only_our_own_pages_pass() {
        for ours in [
            "/",
            "/dashboard",
            "/checkout?sessionId=cs_a-b_c",
            "/payment/abc",
            "/checkout?a=https://x.example",
        ] {
            assert_eq!(page(ours).as_deref(), Some(ours));
        }
        for other in [
            "",
            "checkout",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/..//evil.example",
            "/a/../logout",
            "/logout",
            "/auth/whop",
            "/api/click/return",
            "/päge",
            "/a b",
            "/a\r\nset-cookie:x",
        ] {
            assert_eq!(page(other), None, "{other:?}");
        }
        assert_eq!(page(&format!("/{}", "a".repeat(CHARS_MAX))), None);
        assert_eq!(
            sign_in_for("/auth/whop", "/checkout?sessionId=1"),
            "/auth/whop?returnTo=%2Fcheckout%3FsessionId%3D1"
        );
        assert_eq!(sign_in_for("/auth/whop", "//evil"), "/auth/whop");
    }
}
