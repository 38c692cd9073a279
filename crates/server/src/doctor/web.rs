//! The checks of the way between browsers and us: the cookie against the public address, what a proxy says, and whether the
//! world reaches us at all.

use super::report::Finding;
use crate::config::{Config, Mode};
use sessile::{CookiePolicy, SameSite, TrustProxy};
use sessile_providers::reach;
use url::Url;

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let mut findings =
        vec![cookie(&config.policy.cookie, config.app_url.as_ref(), config.mode), proxy(config)];
    findings.extend(reached(config).await);
    findings
}

fn cookie(cookie: &CookiePolicy, app_url: Option<&Url>, mode: Mode) -> Finding {
    let https = app_url.map(|url| url.scheme() == "https");
    let secure = cookie.secure.is_set();
    if let (Some(domain), Some(host)) = (&cookie.domain, app_url.and_then(Url::host_str)) {
        let domain = domain.trim_start_matches('.');
        if host != domain && !host.ends_with(&format!(".{domain}")) {
            return Finding::fail(
                "cookie",
                format!(
                    "its domain {domain} does not cover APP_URL's host {host}: browsers refuse it, and nobody stays \
                     signed in; unset SESSILE_COOKIE_DOMAIN, or set it to {host} or a domain above it"
                ),
            );
        }
    }
    match https {
        Some(false) if secure => Finding::warn(
            "cookie",
            "the cookie is Secure and APP_URL is http: browsers will not send it; serve https, or set \
             SESSILE_COOKIE_SECURE=false for development",
        ),
        Some(true) if !secure => Finding::warn(
            "cookie",
            "APP_URL is https and the cookie is not Secure: unset SESSILE_COOKIE_SECURE or set it to true",
        ),
        _ if cookie.same_site == SameSite::None && !cookie.partitioned.is_set() => Finding::warn(
            "cookie",
            "SameSite=None without Partitioned: browsers drop it in other sites' frames; set \
             SESSILE_COOKIE_PARTITIONED=true",
        ),
        None if mode == Mode::Production => Finding::warn(
            "cookie",
            "APP_URL is not set, so it cannot be checked whether browsers take the cookie; set it to the address \
             that they open",
        ),
        _ => {
            let same_site = cookie.same_site.as_str();
            Finding::ok("cookie", format!("`{}`, SameSite={same_site}, Secure={secure}", cookie.name))
        }
    }
}

fn proxy(config: &Config) -> Finding {
    let is_https = config.app_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let is_local = matches!(config.host.as_str(), "127.0.0.1" | "::1" | "localhost");
    match config.trust_proxy {
        TrustProxy::No if is_https => Finding::fail(
            "proxy",
            "APP_URL is https and SESSILE_TRUST_PROXY is off: TLS ends before us, so every request looks like plain \
             http and the Secure cookie is kept back; unset it, or set it to yes where only your proxy reaches us",
        ),
        TrustProxy::AssumeHttps if is_https => Finding::ok(
            "proxy",
            "https is taken for granted and forwarding headers are not believed, so limits and device lists see the \
             proxy's address; set SESSILE_TRUST_PROXY=yes where only your proxy reaches us",
        ),
        TrustProxy::Yes if !is_local => Finding::warn(
            "proxy",
            format!(
                "X-Forwarded-For is believed from whoever reaches {}: let only the proxy reach it (HOST=127.0.0.1, or \
                 a firewall), and let the proxy replace the header rather than pass it on",
                config.host
            ),
        ),
        TrustProxy::Yes => Finding::ok("proxy", "its headers are believed; nobody else reaches us"),
        TrustProxy::No | TrustProxy::AssumeHttps => {
            Finding::ok("proxy", "forwarding headers are not believed")
        }
    }
}

/// Whether providers reach us, and we the application. Asked from this machine: what it cannot reach the world may.
async fn reached(config: &Config) -> Vec<Finding> {
    let (ours, theirs) = tokio::join!(
        async {
            match config.app_url.as_ref().and_then(|url| url.join("/healthz").ok()) {
                Some(url) if config.mode == Mode::Production => Some(us(reach::status(&url).await)),
                _ => None,
            }
        },
        async {
            match &config.money.webhook {
                Some(webhook) => Some(application(reach::status(&webhook.url).await)),
                None => None,
            }
        }
    );
    ours.into_iter().chain(theirs).collect()
}

fn us(answer: Result<u16, String>) -> Finding {
    match answer {
        Ok(200) => Finding::ok("public address", "APP_URL leads to a working server: callbacks reach it"),
        Ok(status) => Finding::warn(
            "public address",
            format!(
                "APP_URL answers {status} to /healthz, so callbacks of CLICK and Stripe may not reach us: let the proxy \
                 pass every path on, or start the server"
            ),
        ),
        Err(why) => Finding::warn(
            "public address",
            format!(
                "APP_URL does not answer from here ({why}), so callbacks of CLICK and Stripe may not reach us: check \
                 DNS, certificate and proxy, or start the server"
            ),
        ),
    }
}

fn application(answer: Result<u16, String>) -> Finding {
    match answer {
        // It is asked with GET, and takes POST only: any answer but a missing page is one.
        Ok(404 | 410) => Finding::warn(
            "webhook target",
            "SESSILE_WEBHOOK_URL answers 404: the application has no such path; correct one of them",
        ),
        Ok(status) => Finding::ok("webhook target", format!("SESSILE_WEBHOOK_URL answers ({status})")),
        Err(why) => Finding::warn(
            "webhook target",
            format!(
                "SESSILE_WEBHOOK_URL does not answer ({why}): the application is told nothing, for three days it is \
                 tried again; start it, or correct the address"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_cookie_that_browsers_would_refuse_is_named_with_its_remedy() {
        let url = |text: &str| Url::parse(text).unwrap();
        let told = |policy: &CookiePolicy, app: &str| cookie(policy, Some(&url(app)), Mode::Production);
        let cross = CookiePolicy::cross_site();
        assert_eq!(told(&cross, "https://app.example").verdict, Verdict::Ok);
        assert!(told(&cross, "http://app.example").what.contains("SESSILE_COOKIE_SECURE=false"));
        assert!(told(&CookiePolicy::plain_http(), "https://app.example").what.contains("not Secure"));
        let of =
            |domain: &str| CookiePolicy { domain: Some(domain.to_owned()), ..CookiePolicy::cross_site() };
        for good in ["app.example", ".example", "example"] {
            assert_eq!(told(&of(good), "https://app.example").verdict, Verdict::Ok, "{good}");
        }
        for bad in ["pp.example", "other.example"] {
            let found = told(&of(bad), "https://app.example");
            assert!(
                found.verdict == Verdict::Fail && found.what.contains("unset SESSILE_COOKIE_DOMAIN"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn who_does_not_answer_is_said_with_what_to_do() {
        assert_eq!(us(Ok(200)).verdict, Verdict::Ok);
        assert!(us(Ok(502)).what.contains("proxy") && us(Err("no".to_owned())).what.contains("DNS"));
        assert_eq!(application(Ok(405)).verdict, Verdict::Ok);
        assert!(application(Ok(404)).what.contains("no such path"));
        assert_eq!(application(Err("no".to_owned())).verdict, Verdict::Warn);
    }
}
