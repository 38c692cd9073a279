//! `sessile dev`: the server in development, with a stand-in for Whop on this machine and a data folder, so that the
//! page can be clicked through within a minute of cloning.

use crate::config::{Config, DEFAULT_PORT, Overrides};
use crate::exit::Stop;
use crate::{logging, serve};
use sessile_sandbox::Sandbox;
use sessile_sandbox::whop::WhopConfig;
use std::collections::BTreeMap;
use tokio::net::TcpListener;

/// Ports that are tried when none is configured.
const PORTS_TRIED: u16 = 20;
/// What the stand-in knows us as.
const CLIENT_ID: &str = "app_sessile_dev";

/// Runs until it is stopped.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn run(mut env: BTreeMap<String, String>, overrides: Overrides) -> Result<(), Stop> {
    let overrides = Overrides { development: true, ..overrides };
    let first = Config::load(&env, &overrides)?;
    logging::start(&first.log);
    let listener = listener(&first).await?;
    let port = listener.local_addr().map_or(DEFAULT_PORT, |address| address.port());
    let home = format!("http://127.0.0.1:{port}");
    env.insert("PORT".to_owned(), port.to_string());
    env.entry("APP_URL".to_owned()).or_insert_with(|| home.clone());
    let real = matches!(first.providers.whop, crate::config::Whop::Ready(_));
    let sandbox = if real { None } else { Some(stand_in(&mut env, &home).await?) };
    let config = Config::load(&env, &overrides)?;
    banner(&config, sandbox.as_ref());
    let done = serve::serve(&config, listener, serve::asked_to_stop()).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    done
}

/// The configured port, or the first free one.
async fn listener(config: &Config) -> Result<TcpListener, Stop> {
    if let Some(port) = config.port {
        return serve::listen(&config.host, port).await;
    }
    for port in DEFAULT_PORT..DEFAULT_PORT + PORTS_TRIED {
        if let Ok(listener) = serve::listen(&config.host, port).await {
            return Ok(listener);
        }
    }
    let last = DEFAULT_PORT + PORTS_TRIED - 1;
    Err(Stop::usage(format!("ports {DEFAULT_PORT} to {last} are all in use; set PORT to a free one")))
}

async fn stand_in(env: &mut BTreeMap<String, String>, home: &str) -> Result<Sandbox, Stop> {
    let redirect = format!("{home}/auth/whop/callback");
    let sandbox = Sandbox::start(WhopConfig::new(CLIENT_ID, vec![redirect.clone()]))
        .await
        .map_err(|error| Stop::failed(error.to_string()))?;
    for (name, value) in [
        ("WHOP_CLIENT_ID", CLIENT_ID.to_owned()),
        ("WHOP_REDIRECT_URI", redirect),
        ("WHOP_BASE_URL", sandbox.whop_base_url()),
    ] {
        env.insert(name.to_owned(), value);
    }
    Ok(sandbox)
}

fn banner(config: &Config, sandbox: Option<&Sandbox>) {
    let home =
        config.app_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default();
    println!("\n  Sessile is running.\n");
    println!("    open    {home}");
    println!("    data    {}", config.data_dir.display());
    if let Some(sandbox) = sandbox {
        println!("    Whop    a stand-in on this machine, {}/sandbox/whop", sandbox.base_url());
    }
    println!("    stop    Ctrl-C\n");
}
