//! The cookie and the lifetimes: the program's defaults, changed by what was configured, checked against the rules by
//! which browsers would drop it.

use super::source::Source;
use super::{Mode, YEAR_SECONDS};
use sessile::{CookiePolicy, CookieRule, LoginPolicy, SameOriginLayer, SameSite, Switch};
use std::time::Duration;

pub(super) fn policy(source: &Source, mode: Mode) -> LoginPolicy {
    let secure = source.yes_or_no("SESSILE_COOKIE_SECURE");
    // A cookie that is not Secure cannot be SameSite=None either: the plain form is what was meant.
    let mut cookie = match (secure, mode) {
        (Some(true), _) | (None, Mode::Production) => CookiePolicy::cross_site(),
        (Some(false), _) | (None, Mode::Development) => CookiePolicy::plain_http(),
    };
    if let Some(name) = source.get("SESSILE_COOKIE_NAME") {
        name.clone_into(&mut cookie.name);
    }
    cookie.domain = source.get("SESSILE_COOKIE_DOMAIN").map(str::to_owned);
    let words = [("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)];
    if let Some(same_site) = source.word("SESSILE_COOKIE_SAME_SITE", &words) {
        cookie.same_site = same_site;
        if same_site != SameSite::None {
            cookie.partitioned = Switch::Off;
        }
    }
    if let Some(partitioned) = source.yes_or_no("SESSILE_COOKIE_PARTITIONED") {
        cookie.partitioned = partitioned.into();
    }
    if let Err(rule) = cookie.check() {
        source.complain(format!("{}: {rule}", setting_of(rule)));
    }
    lifetimes(source, LoginPolicy::new(cookie))
}

fn lifetimes(source: &Source, mut policy: LoginPolicy) -> LoginPolicy {
    let seconds = |name: &str, low| source.number(name, low, 10 * YEAR_SECONDS).map(Duration::from_secs);
    if let Some(age) = seconds("SESSILE_MAX_AGE_SECONDS", 1) {
        policy.max_age = Some(age);
    }
    policy.absolute = seconds("SESSILE_ABSOLUTE_SECONDS", 1);
    if let Some(interval) = seconds("SESSILE_TOUCH_INTERVAL_SECONDS", 0) {
        policy.touch_interval = interval;
    }
    if let Some(rolling) = source.yes_or_no("SESSILE_ROLLING") {
        policy.rolling = rolling.into();
    }
    policy
}

const fn setting_of(rule: CookieRule) -> &'static str {
    match rule {
        CookieRule::Name | CookieRule::HostPrefix | CookieRule::SecurePrefix => "SESSILE_COOKIE_NAME",
        CookieRule::PathOrDomain => "SESSILE_COOKIE_DOMAIN",
        CookieRule::NoneNeedsSecure => "SESSILE_COOKIE_SAME_SITE",
        CookieRule::PartitionedNeedsSecure => "SESSILE_COOKIE_PARTITIONED",
    }
}

pub(super) fn allowed_origins(source: &Source) -> Vec<String> {
    let origins = source.list("SESSILE_ALLOWED_ORIGINS");
    for origin in &origins {
        if let Err(not_one) = SameOriginLayer::new("sid").allow_origin(origin) {
            source.complain(format!("SESSILE_ALLOWED_ORIGINS: `{origin}` is no origin; {not_one}"));
        }
    }
    origins
}
