//! The checks, one function each. They read; only the data folder is probed with an empty file.

use super::report::Finding;
use crate::config::{Config, Mode, SecretSource, Whop, is_writable};
use crate::stores::{options_for, reason_of};
use sessile::SameSite;
use sessile_store::postgres::PostgresLogins;
use sessile_store::{Choice, Layout, LoginOptions, StoreUrl, open_logins};
use std::time::Duration;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let mut findings = vec![configuration(config), secret(config), cookie(config), data_folder(config)];
    findings.extend(persistence(config));
    findings.extend(store(config).await);
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
        SecretSource::Given(list) => match (list.require_strong(), list.iter().count()) {
            (Err(weak), _) => Finding::warn(
                "secret",
                format!(
                    "SESSION_SECRET is weak ({weak}); make one with `openssl rand -base64 48` before production"
                ),
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
        },
        SecretSource::Kept(path) => {
            Finding::ok("secret", format!("kept in {}, made at the first start", path.display()))
        }
    }
}

fn cookie(config: &Config) -> Finding {
    let cookie = &config.policy.cookie;
    let https = config.app_url.as_ref().map(|url| url.scheme() == "https");
    let secure = cookie.secure.is_set();
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
        None if config.mode == Mode::Production => Finding::warn(
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

async fn store(config: &Config) -> Vec<Finding> {
    let checked = async {
        match &config.store.login {
            StoreUrl::Postgres(url) => postgres(url, &config.login_options).await,
            StoreUrl::Sqlite(path) if !path.exists() => {
                vec![Finding::ok("store", format!("SQLite; {} is made at the first start", path.display()))]
            }
            _ => vec![other(config).await],
        }
    };
    tokio::time::timeout(STORE_TIMEOUT, checked).await.unwrap_or_else(|_| {
        vec![Finding::fail("store", "it did not answer in time; check address and network")]
    })
}

async fn postgres(url: &str, options: &LoginOptions) -> Vec<Finding> {
    let facts = match PostgresLogins::inspect(url, options).await {
        Ok(facts) => facts,
        Err(error) => return vec![Finding::fail("store", error.to_string())],
    };
    let table = match (facts.table_exists, facts.schema_version) {
        (false, _) => "is made at the first start".to_owned(),
        (true, None) => "is an Express application's; it is taken over at the first start".to_owned(),
        (true, Some(version)) => format!("has schema version {version}"),
    };
    let mut findings =
        vec![Finding::ok("store", format!("Postgres at {}; table {} {table}", facts.place, facts.table))];
    if options.layout == Layout::Shared {
        findings.push(Finding::ok(
            "layout",
            "shared with Express, plain ids; where no Express application shares the table, \
             SESSILE_LOGIN_LAYOUT=stand-alone stores only hashes of them",
        ));
        if !matches!(facts.time_zone.as_str(), "UTC" | "Etc/UTC" | "GMT" | "Z") {
            findings.push(Finding::warn(
                "time zone",
                format!(
                    "the role's TimeZone is {}: an Express application beside us sees sessions expire early or late; \
                     run `alter role <role> set TimeZone to 'UTC'`",
                    facts.time_zone
                ),
            ));
        }
    }
    findings
}

async fn other(config: &Config) -> Finding {
    let options =
        LoginOptions { create: Choice::No, ..options_for(&config.store.login, &config.login_options) };
    match open_logins(config.store.login_url.expose(), &options).await {
        Err(error) => Finding::fail("store", error.to_string()),
        Ok(store) => {
            let info = store.info();
            match store.ping().await {
                Ok(()) => Finding::ok("store", format!("{} at {} answers", info.engine, info.place)),
                Err(error) => Finding::fail("store", format!("{}: {}", info.place, reason_of(&error))),
            }
        }
    }
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
