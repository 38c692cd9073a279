//! Every setting's name, as in the environment; in `sessile.toml` the same in lower case. Names of the kinds of
//! session that are configured elsewhere are known too, so that one file serves them all.

use std::path::Path;

/// Whether a value must not be shown, and may come from `NAME_FILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Secret,
}

use Kind::{Plain, Secret};

pub(crate) const NAMES: &[(&str, Kind)] = &[
    ("HOST", Plain),
    ("PORT", Plain),
    ("APP_URL", Plain),
    ("SESSILE_ENV", Plain),
    ("NODE_ENV", Plain),
    ("SESSILE_DATA_DIR", Plain),
    ("DATABASE_URL", Secret),
    ("REDIS_URL", Secret),
    ("SUPABASE_URL", Plain),
    ("SUPABASE_SERVICE_ROLE_KEY", Secret),
    ("USE_SUPABASE", Plain),
    ("SESSION_SECRET", Secret),
    ("SESSILE_SEALING_KEY", Secret),
    ("SESSILE_ADMIN_TOKEN", Secret),
    ("SESSILE_API_KEYS", Secret),
    ("WHOP_CLIENT_ID", Plain),
    ("WHOP_CLIENT_SECRET", Secret),
    ("WHOP_REDIRECT_URI", Plain),
    ("WHOP_BASE_URL", Plain),
    ("MOCK_LOGIN", Plain),
    ("CLICK_SERVICE_ID", Plain),
    ("CLICK_MERCHANT_ID", Plain),
    ("CLICK_SECRET_KEY", Secret),
    ("CLICK_MERCHANT_USER_ID", Plain),
    ("CLICK_RETURN_URL", Plain),
    ("CLICK_PAY_URL", Plain),
    ("CLICK_API_URL", Plain),
    ("SESSILE_CLICK_LATE_CANCEL", Plain),
    ("SESSILE_CATALOGUE", Plain),
    ("SESSILE_CURRENCY", Plain),
    ("SESSILE_TIER", Plain),
    ("SESSILE_STRICT_USERS", Plain),
    ("SESSILE_PAYMENT_SECONDS", Plain),
    ("SESSILE_PAYMENT_RETURN_URL", Plain),
    ("SESSILE_WEBHOOK_URL", Plain),
    ("SESSILE_WEBHOOK_SECRET", Secret),
    ("STRIPE_SECRET_KEY", Secret),
    ("STRIPE_WEBHOOK_SECRET", Secret),
    ("STRIPE_PRICE_SINGLE", Plain),
    ("STRIPE_PRICE_TRIPLE", Plain),
    ("STRIPE_API_URL", Plain),
    ("SUPERDUPERAI_TOKEN", Secret),
    ("SUPERDUPERAI_URL", Plain),
    ("SESSILE_STRIPE_PRICES", Plain),
    ("SESSILE_GENERATION_LEASE_SECONDS", Plain),
    ("SESSILE_GENERATION_SETTLED_SECONDS", Plain),
    ("CLIENT_ID", Plain),
    ("SESSION_PATH", Plain),
    ("SESSILE_WHATSAPP_STORE", Plain),
    ("SESSILE_WHATSAPP_NODES", Plain),
    ("SESSILE_WHATSAPP_SERVER", Plain),
    ("SESSILE_LOGIN_STORE", Secret),
    ("SESSILE_LOGIN_LAYOUT", Plain),
    ("SESSILE_LOGIN_TABLE", Plain),
    ("SESSILE_LOGIN_SCHEMA", Plain),
    ("SESSILE_USERS_TABLE", Plain),
    ("SESSILE_COOKIE_NAME", Plain),
    ("SESSILE_COOKIE_DOMAIN", Plain),
    ("SESSILE_COOKIE_SAME_SITE", Plain),
    ("SESSILE_COOKIE_SECURE", Plain),
    ("SESSILE_COOKIE_PARTITIONED", Plain),
    ("SESSILE_MAX_AGE_SECONDS", Plain),
    ("SESSILE_ABSOLUTE_SECONDS", Plain),
    ("SESSILE_TOUCH_INTERVAL_SECONDS", Plain),
    ("SESSILE_PRUNE_SECONDS", Plain),
    ("SESSILE_ROLLING", Plain),
    ("SESSILE_TRUST_PROXY", Plain),
    ("SESSILE_ALLOWED_ORIGINS", Plain),
    ("SESSILE_EVENTS", Plain),
    ("SESSILE_ALLOW_EPHEMERAL", Plain),
    ("SESSILE_LOG", Plain),
    ("SESSILE_LOG_FORMAT", Plain),
    ("SESSILE_OIDC_ISSUER", Plain),
    ("SESSILE_OIDC_CLIENT_ID", Plain),
    ("SESSILE_OIDC_CLIENT_SECRET", Secret),
    ("SESSILE_OIDC_REDIRECT_URI", Plain),
];

/// Ours, but not settings: the tests' own, where the file is, and the ends of a copy.
const NOT_SETTINGS: [&str; 3] = ["SESSILE_TEST_", "SESSILE_CONFIG", "SESSILE_COPY_"];

pub(crate) fn is_known(name: &str) -> bool {
    let plain = |name: &str| NAMES.iter().any(|(known, _)| *known == name);
    let secret = |name: &str| NAMES.contains(&(name, Secret));
    plain(name) || name.strip_suffix("_FILE").is_some_and(secret)
}

pub(crate) fn is_stranger(name: &str) -> bool {
    name.starts_with("SESSILE_") && !is_known(name) && !NOT_SETTINGS.iter().any(|ours| name.starts_with(ours))
}

pub(crate) fn unknown_key(key: &str, path: &Path) -> String {
    let name = key.to_ascii_uppercase();
    let near = if is_known(&name) { Some(name.as_str()) } else { nearest(&name) };
    let hint =
        near.map_or_else(String::new, |near| format!("; did you mean `{}`?", near.to_ascii_lowercase()));
    format!("{}: `{key}` is no setting{hint}", path.display())
}

/// The known name that shares most letters with this one, when that is nearly all of them.
fn nearest(name: &str) -> Option<&'static str> {
    let distance = |known: &str| -> usize {
        let same = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let tail = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
        known.len().max(name.len()).saturating_sub(same + tail)
    };
    let (known, far) =
        NAMES.iter().map(|(known, _)| (*known, distance(known))).min_by_key(|(_, far)| *far)?;
    (far <= 3).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_get_a_hint_and_secrets_have_files() {
        let path = Path::new("sessile.toml");
        assert!(unknown_key("sesion_secret", path).contains("`session_secret`"));
        assert!(unknown_key("PORT", path).contains("`port`"));
        assert!(!unknown_key("entirely_else", path).contains("did you mean"));
        assert!(is_known("SESSION_SECRET_FILE") && !is_known("PORT_FILE"));
        assert!(is_stranger("SESSILE_COKIE_NAME") && !is_stranger("SESSILE_TEST_OUTPUT"));
    }
}
