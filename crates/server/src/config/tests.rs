//! Configuration by table: what is given, and what comes of it or is said about it.

use super::*;
use sessile::SameSite;
use sessile_store::StoreUrl;

const STRONG: &str = "0123456789012345678901234567890123456789";

fn load(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&env, &Overrides::default())
}

fn production(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(&[&[("SESSION_SECRET", STRONG)], settings].concat())
}

#[test]
fn defaults_of_both_modes() {
    let config = production(&[]).unwrap();
    assert_eq!(
        (config.mode, config.host.as_str(), config.port_or_default()),
        (Mode::Production, "0.0.0.0", 3000)
    );
    let cookie = &config.policy.cookie;
    assert_eq!((cookie.name.as_str(), cookie.same_site), ("sid", SameSite::None));
    assert!(cookie.secure.is_set() && cookie.partitioned.is_set() && cookie.http_only.is_set());
    assert_eq!(config.store.login, StoreUrl::Sqlite("data/sessile.db".into()));
    assert!(config.store.warning.is_none());

    let config = load(&[("NODE_ENV", "development")]).unwrap();
    assert_eq!((config.mode, config.host.as_str()), (Mode::Development, "127.0.0.1"));
    assert_eq!(
        (config.policy.cookie.same_site, config.policy.cookie.secure.is_set()),
        (SameSite::Lax, false)
    );
    assert!(matches!(config.session_secret, SecretSource::Kept(_)));
    let both =
        load(&[("NODE_ENV", "development"), ("SESSILE_ENV", "production"), ("SESSION_SECRET", STRONG)])
            .unwrap();
    assert_eq!(both.mode, Mode::Production, "SESSILE_ENV wins");
}

#[test]
fn every_mistake_is_one_sentence_that_names_the_setting() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("PORT", "0")], "PORT has to be"),
        (&[("APP_URL", "app.example.com")], "APP_URL has to be"),
        (&[("SESSILE_COOKIE_SAME_SITE", "loose")], "SESSILE_COOKIE_SAME_SITE has to be one of"),
        (&[("SESSILE_COOKIE_NAME", "a b")], "SESSILE_COOKIE_NAME:"),
        (
            &[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_COOKIE_SAME_SITE", "none")],
            "SESSILE_COOKIE_SAME_SITE:",
        ),
        (&[("SESSILE_ROLLING", "maybe")], "SESSILE_ROLLING has to be"),
        (&[("SESSILE_MAX_AGE_SECONDS", "-1")], "SESSILE_MAX_AGE_SECONDS has to be"),
        (&[("SESSILE_ALLOWED_ORIGINS", "https://a.example/path")], "SESSILE_ALLOWED_ORIGINS:"),
        (&[("SESSILE_LOGIN_LAYOUT", "own")], "SESSILE_LOGIN_LAYOUT has to be one of"),
        (&[("SESSILE_LOGIN_STORE", "redis")], "needs REDIS_URL"),
        (&[("SESSILE_SEALING_KEY", "abc")], "SESSILE_SEALING_KEY:"),
        (&[("SESSILE_ADMIN_TOKEN", "abc")], "SESSILE_ADMIN_TOKEN needs"),
        (&[("SESSILE_API_KEYS", "nameless")], "SESSILE_API_KEYS: entry 1"),
        (
            &[
                ("WHOP_CLIENT_ID", "a"),
                ("WHOP_BASE_URL", "http://api.example/"),
                ("APP_URL", "https://a.example"),
            ],
            "WHOP_BASE_URL",
        ),
        (&[("SESSILE_OIDC_ISSUER", "https://id.example")], "SESSILE_OIDC_CLIENT_ID"),
        (&[("WHOP_CLIENT_SECRET_FILE", "/nowhere/secret")], "WHOP_CLIENT_SECRET_FILE names /nowhere/secret"),
        (&[("DATABASE_URL", "mysql://u:hunter2@h/d")], "DATABASE_URL is not understood"),
        (&[("K_SERVICE", "x")], "K_SERVICE"),
        (&[("DATABASE_URL", "memory:")], "NOT persist"),
    ];
    for (settings, sentence) in cases {
        let error = production(settings).err().unwrap_or_else(|| panic!("{settings:?} was accepted"));
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.to_string().contains(sentence), "{settings:?}: {error}");
        assert!(!error.to_string().contains("hunter2"));
    }
    assert_eq!(load(&[("PORT", "x"), ("APP_URL", "y")]).unwrap_err().0.len(), 3, "all at once");
}

#[test]
fn the_store_is_chosen_as_written() {
    let postgres = "postgresql://u:p@h:5432/d";
    let login = |settings: &[(&str, &str)]| production(settings).unwrap().store.login;
    assert_eq!(login(&[("DATABASE_URL", postgres)]), StoreUrl::Postgres(postgres.into()));
    assert_eq!(login(&[("DATABASE_URL", "sqlite:/a.db")]), StoreUrl::Sqlite("/a.db".into()));
    let redis = "redis://h:6379";
    assert_eq!(
        login(&[("DATABASE_URL", postgres), ("REDIS_URL", redis)]),
        StoreUrl::Postgres(postgres.into())
    );
    let on_redis =
        production(&[("DATABASE_URL", postgres), ("REDIS_URL", redis), ("SESSILE_LOGIN_STORE", "redis")])
            .unwrap();
    assert_eq!(on_redis.store.login, StoreUrl::Redis(redis.into()));
    assert_eq!(on_redis.store.users, StoreUrl::Postgres(postgres.into()), "users stay in the database");
    let alone = production(&[("SESSILE_LOGIN_STORE", redis)]).unwrap();
    assert_eq!(alone.store.users, StoreUrl::Sqlite("data/sessile.db".into()));
    assert!(login(&[("DATABASE_URL", postgres), ("VERCEL", "1")]) == StoreUrl::Postgres(postgres.into()));
}

#[test]
fn what_will_not_last_is_said_and_has_to_be_accepted_in_production() {
    let accepted = production(&[("VERCEL", "1"), ("SESSILE_ALLOW_EPHEMERAL", "1")]).unwrap();
    let said = accepted.store.warning.unwrap().sentence;
    for part in ["sessile.db", "NOT persist between requests or deploys", store::SET_DATABASE_URL] {
        assert!(said.contains(part), "{said}");
    }
    let development = load(&[("SESSILE_ENV", "development"), ("DATABASE_URL", "mysql://h")]).unwrap();
    assert_eq!(development.store.login, StoreUrl::Memory);
    assert!(development.store.warning.unwrap().sentence.contains("NOT persist"));
}

#[test]
fn secrets_come_from_files_too_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{STRONG}\n")).unwrap();
    let path = file.to_str().unwrap();
    let config =
        load(&[("SESSION_SECRET_FILE", path), ("DATABASE_URL", "postgres://u:hunter2@h/d")]).unwrap();
    let SecretSource::Given(list) = &config.session_secret else { panic!("it was given") };
    assert_eq!(list.iter().next().unwrap().expose(), STRONG);
    let shown = format!("{config:?}");
    assert!(!shown.contains(STRONG) && !shown.contains("hunter2"), "{shown}");
    let twice = load(&[("SESSION_SECRET_FILE", path), ("SESSION_SECRET", STRONG)]).unwrap_err();
    assert!(twice.to_string().contains("both set"), "{twice}");
}

#[test]
fn the_file_lies_below_the_environment_and_knows_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessile.toml");
    let text = format!(
        "port = 4000\nsessile_rolling = false\nsession_secret = \"{STRONG}\"\nsessile_allowed_origins = [\"https://a.example\", \"https://b.example\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    let overrides = Overrides { file: Some(file.clone()), development: false };
    let env = BTreeMap::from([("PORT".to_owned(), "5000".to_owned())]);
    let config = Config::load(&env, &overrides).unwrap();
    assert_eq!(
        (config.port, config.policy.rolling.is_set(), config.allowed_origins.len()),
        (Some(5000), false, 2)
    );
    std::fs::write(&file, "prot = 1\n").unwrap();
    let error = Config::load(&env, &overrides).unwrap_err().to_string();
    assert!(error.contains("`prot`") && error.contains("`port`"), "{error}");
    std::fs::write(&file, "session_secret = hunter2\n").unwrap();
    assert!(!Config::load(&env, &overrides).unwrap_err().to_string().contains("hunter2"));
}
