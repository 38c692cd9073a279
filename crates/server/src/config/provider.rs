//! Whom people sign in with: Whop, any OpenID Connect provider, or in development nobody at all.

use super::source::Source;
use super::{DEFAULT_PORT, Mode};
use secrecy::SecretString;
use sessile_providers::ProviderConfig;
use sessile_providers::sign_in::{Endpoints, SignIn};
use url::Url;

/// What is configured for signing in.
#[derive(Debug)]
pub struct Providers {
    /// Whop.
    pub whop: Whop,
    /// Any other provider.
    pub oidc: Option<ProviderConfig>,
    /// `MOCK_LOGIN`: `/auth/whop` leads to `/auth/dev`.
    pub mock_login: bool,
}

/// Whether Whop can be signed in with.
#[derive(Debug)]
pub enum Whop {
    /// It can.
    Ready(Box<ProviderConfig>),
    /// These variables are missing.
    Missing(Vec<&'static str>),
}

pub(super) fn providers(source: &Source, mode: Mode, app_url: Option<&Url>, port: Option<u16>) -> Providers {
    let base = match (app_url, mode) {
        (Some(url), _) => Some(url.clone()),
        (None, Mode::Development) => {
            Url::parse(&format!("http://127.0.0.1:{}", port.unwrap_or(DEFAULT_PORT))).ok()
        }
        (None, Mode::Production) => None,
    };
    let redirect = |name: &str, path: &str| {
        let own = || base.as_ref().and_then(|base| base.join(path).ok()).map(String::from);
        source.get(name).map(str::to_owned).or_else(own)
    };
    Providers {
        whop: whop(source, redirect("WHOP_REDIRECT_URI", "/auth/whop/callback")),
        oidc: oidc(source, redirect("SESSILE_OIDC_REDIRECT_URI", "/auth/oidc/callback")),
        mock_login: source.yes_or_no("MOCK_LOGIN").unwrap_or(false),
    }
}

fn whop(source: &Source, redirect: Option<String>) -> Whop {
    let secret = source.secret("WHOP_CLIENT_SECRET").map(SecretString::from);
    let mut missing = Vec::new();
    if source.get("WHOP_CLIENT_ID").is_none() {
        missing.push("WHOP_CLIENT_ID");
    }
    if redirect.is_none() {
        missing.push("WHOP_REDIRECT_URI");
    }
    let (Some(client_id), Some(redirect)) = (source.get("WHOP_CLIENT_ID"), redirect) else {
        return Whop::Missing(missing);
    };
    let mut config = ProviderConfig::whop(client_id, redirect);
    config.client_secret = secret;
    if let (Some(base), Endpoints::Whop { base_url, .. }) =
        (source.get("WHOP_BASE_URL"), &mut config.endpoints)
    {
        // Endpoints are joined to it.
        *base_url = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
    }
    check(source, "WHOP_BASE_URL or WHOP_REDIRECT_URI", &config);
    Whop::Ready(Box::new(config))
}

fn oidc(source: &Source, redirect: Option<String>) -> Option<ProviderConfig> {
    let secret = source.secret("SESSILE_OIDC_CLIENT_SECRET").map(SecretString::from);
    let issuer = source.get("SESSILE_OIDC_ISSUER");
    let client_id = source.get("SESSILE_OIDC_CLIENT_ID");
    let (Some(issuer), Some(client_id), Some(redirect)) = (issuer, client_id, redirect) else {
        if issuer.is_some() || client_id.is_some() || secret.is_some() {
            source.complain(
                "signing in with OpenID Connect needs SESSILE_OIDC_ISSUER, SESSILE_OIDC_CLIENT_ID, and \
                 SESSILE_OIDC_REDIRECT_URI or APP_URL; set what is missing, or none of them",
            );
        }
        return None;
    };
    let mut config = ProviderConfig::oidc(issuer, client_id, redirect);
    config.client_secret = secret;
    check(source, "SESSILE_OIDC_ISSUER or SESSILE_OIDC_REDIRECT_URI", &config);
    Some(config)
}

fn check(source: &Source, setting: &str, config: &ProviderConfig) {
    if let Err(error) = SignIn::new(config.clone()) {
        source.complain(format!("{setting}: {error}"));
    }
}
