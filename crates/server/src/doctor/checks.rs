//! All of the checks in their order, and those of the configuration itself. They read; only the data folder is probed with an
//! empty file.

use super::report::Finding;
use crate::config::{Config, Mode, SecretSource, Whop, is_writable};
use sessile_core::{Secret, SecretList};
use sessile_store::StoreUrl;
use std::collections::BTreeSet;

/// Different characters that a secret made by chance has at least.
const DISTINCT_CHARS_MIN: usize = 10;

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let mut findings = vec![configuration(config), secret(config), data_folder(config)];
    findings.extend(super::web::all(config).await);
    findings.extend(persistence(config));
    findings.extend(super::store::all(config).await);
    findings.push(provider(config));
    findings.extend(super::money::all(config).await);
    findings.extend(super::whatsapp::all(config).await);
    findings.extend(super::generation::all(config).await);
    findings
}

fn configuration(config: &Config) -> Finding {
    let mode = match config.mode {
        Mode::Production => "production",
        Mode::Development => "development",
    };
    let file = config.file.as_ref().map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    if config.strangers.is_empty() {
        return Finding::ok("configuration", format!("{mode}; environment and {file}"));
    }
    Finding::warn(
        "configuration",
        format!(
            "{mode}; these variables are no settings, check their spelling: {}",
            config.strangers.join(", ")
        ),
    )
}

fn secret(config: &Config) -> Finding {
    match &config.session_secret {
        SecretSource::Given(list) => given(list),
        SecretSource::Kept(path) => {
            Finding::ok("secret", format!("kept in {}, made at the first start", path.display()))
        }
    }
}

fn given(list: &SecretList) -> Finding {
    let guessable =
        |secret: &Secret| secret.expose().chars().collect::<BTreeSet<_>>().len() < DISTINCT_CHARS_MIN;
    match (list.require_strong(), list.iter().count()) {
        (Err(weak), _) => Finding::warn(
            "secret",
            format!(
                "SESSION_SECRET is weak ({weak}); make one with `openssl rand -base64 48` before production"
            ),
        ),
        (Ok(()), _) if list.iter().any(guessable) => Finding::warn(
            "secret",
            "SESSION_SECRET is long and repeats few characters, so it can be guessed; make one with `openssl rand \
             -base64 48` and put it first",
        ),
        (Ok(()), 1) => {
            Finding::ok("secret", "SESSION_SECRET is strong; rotate it with SESSION_SECRET=new,old")
        }
        (Ok(()), count) => Finding::ok(
            "secret",
            format!(
                "SESSION_SECRET has {count} entries, the first one signs; drop the others when the longest \
                 session has ended"
            ),
        ),
    }
}

fn data_folder(config: &Config) -> Finding {
    let folder = config.data_dir.display();
    if is_writable(&config.data_dir) {
        return Finding::ok("data folder", format!("{folder} can be written"));
    }
    let what = format!(
        "{folder} cannot be written: make it a folder of this user's, or set SESSILE_DATA_DIR to one"
    );
    if matches!(config.store.login, StoreUrl::Sqlite(_)) {
        Finding::fail("data folder", what)
    } else {
        Finding::warn(
            "data folder",
            format!("{what}; without it nobody can sign in while the database is away"),
        )
    }
}

fn persistence(config: &Config) -> Option<Finding> {
    config.store.warning.as_ref().map(|warning| Finding::warn("persistence", warning.sentence.clone()))
}

fn provider(config: &Config) -> Finding {
    let providers = &config.providers;
    match (&providers.whop, &providers.oidc) {
        (Whop::Ready(whop), _) => {
            Finding::ok("sign-in", format!("Whop; register {} there, to the letter", whop.redirect_url))
        }
        (_, Some(oidc)) => Finding::ok(
            "sign-in",
            format!("OpenID Connect; register {} there, to the letter", oidc.redirect_url),
        ),
        (Whop::Missing(_), None) if config.mode == Mode::Development => {
            Finding::ok("sign-in", "no provider; `sessile dev` brings a stand-in, and /auth/dev needs none")
        }
        (Whop::Missing(names), None) => {
            Finding::warn("sign-in", format!("no provider, so nobody can sign in; set {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_secret_that_can_be_guessed_is_named_and_never_shown() {
        let told = |list: &str| given(&SecretList::parse(list).unwrap());
        let strong = "kW3vQ9xTz0Lr7YbN5pHc2MfJ8sGdA4eU";
        assert_eq!(told(strong).verdict, Verdict::Ok);
        assert!(told(&format!("{strong},{strong}x")).what.contains("2 entries"));
        let repeated = told(&"ab".repeat(20));
        assert!(
            repeated.verdict == Verdict::Warn && repeated.what.contains("repeats few characters"),
            "{repeated:?}"
        );
        let short = told("hunter2-hunter2");
        assert!(short.verdict == Verdict::Warn && !short.what.contains("hunter2"), "{short:?}");
    }
}
