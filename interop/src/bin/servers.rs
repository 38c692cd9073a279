//! Runs a command with private servers around it: `servers exec [--only postgres,redis] -- cargo test`.
//!
//! `./test` runs everything under it. The servers' URLs are in the command's environment, signals are passed
//! on, and everything ends with the command, whose exit code is ours.

use std::{
    ffi::OsString,
    io::IsTerminal as _,
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus},
};

use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use sessile_interop::servers::{PgBouncer, PostgRest, Postgres, Redis, RedisCluster, ServerError};
use sessile_store::whatsapp::{SupabaseDevices, TABLES};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// The exit code when the servers, not the command, failed.
const SERVERS_FAILED: u8 = 125;
/// Shells report a command that a signal ended as this plus the signal.
const SIGNAL_BASE: i32 = 128;

/// Private test servers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Starts servers, runs a command with their URLs in its environment, stops them.
    Exec {
        /// Which servers; all of them when not given.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Kind>,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Postgres,
    Pgbouncer,
    Postgrest,
    Redis,
    Cluster,
}

/// The servers that were asked for.
#[derive(Default)]
struct Servers {
    // In this order on drop: what stands before a database ends first.
    pgbouncer: Option<PgBouncer>,
    postgrest: Option<PostgRest>,
    /// Its own: its roles and its schemas would be in the way of other tests.
    behind_postgrest: Option<Postgres>,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    cluster: Option<RedisCluster>,
}

impl Servers {
    /// Starts them side by side.
    async fn start(only: &[Kind]) -> Result<Self, ServerError> {
        let wanted = |kind| only.is_empty() || only.contains(&kind);
        let sql = async {
            if !wanted(Kind::Postgres) && !wanted(Kind::Pgbouncer) {
                return Ok((None, None));
            }
            let postgres = Postgres::start().await?;
            let pgbouncer =
                if wanted(Kind::Pgbouncer) { Some(PgBouncer::start(&postgres).await?) } else { None };
            Ok((Some(postgres), pgbouncer))
        };
        let redis = async { if wanted(Kind::Redis) { Redis::start().await.map(Some) } else { Ok(None) } };
        let rest = async {
            if !wanted(Kind::Postgrest) {
                return Ok((None, None));
            }
            let postgres = Postgres::start().await?;
            let sql = format!("{TABLES}{}", SupabaseDevices::sql());
            Ok((Some(PostgRest::start(&postgres, &sql).await?), Some(postgres)))
        };
        let cluster =
            async { if wanted(Kind::Cluster) { RedisCluster::start().await.map(Some) } else { Ok(None) } };
        let ((postgres, pgbouncer), (postgrest, behind_postgrest), redis, cluster) =
            tokio::try_join!(sql, rest, redis, cluster)?;
        Ok(Self { pgbouncer, postgrest, behind_postgrest, postgres, redis, cluster })
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let keys = self.postgrest.as_ref().map(PostgRest::keys);
        let urls = [
            ("SESSILE_TEST_POSTGREST_URL", self.postgrest.as_ref().map(PostgRest::url)),
            ("SESSILE_TEST_POSTGREST_POSTGRES_URL", self.behind_postgrest.as_ref().map(Postgres::url)),
            ("SESSILE_TEST_POSTGREST_SERVICE_ROLE_KEY", keys.map(|keys| keys.service_role.clone())),
            ("SESSILE_TEST_POSTGREST_SECRET_KEY", keys.map(|keys| keys.secret.clone())),
            ("SESSILE_TEST_POSTGREST_ANON_KEY", keys.map(|keys| keys.anon.clone())),
            ("SESSILE_TEST_POSTGREST_AUTHENTICATED_KEY", keys.map(|keys| keys.authenticated.clone())),
            ("SESSILE_TEST_POSTGRES_URL", self.postgres.as_ref().map(Postgres::url)),
            ("SESSILE_TEST_PGBOUNCER_URL", self.pgbouncer.as_ref().map(PgBouncer::url)),
            ("SESSILE_TEST_REDIS_URL", self.redis.as_ref().map(Redis::url)),
            ("SESSILE_TEST_REDIS_CLUSTER_URL", self.cluster.as_ref().map(RedisCluster::url)),
        ];
        urls.into_iter().filter_map(|(name, url)| Some((name, url?))).collect()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Action::Exec { only, command } = Arguments::parse().action;
    match Box::pin(exec(&only, &command)).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("servers: {error}");
            if let Some(cause) = std::error::Error::source(&error) {
                eprintln!("servers: because: {cause}");
            }
            ExitCode::from(SERVERS_FAILED)
        }
    }
}

async fn exec(only: &[Kind], command: &[OsString]) -> Result<ExitCode, ServerError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| ServerError::Io { what, source }
    };
    // Before the servers start: from here on a signal ends them in good order.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("listen for SIGINT"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("listen for SIGTERM"))?;
    let servers = tokio::select! {
        started = Servers::start(only) => started?,
        _ = interrupt.recv() => return Ok(ended_by(Signal::INT)),
        _ = terminate.recv() => return Ok(ended_by(Signal::TERM)),
    };
    // At a terminal the command shares our process group, or it could not read. Elsewhere it gets its own, so
    // that a signal reaches everything that it started.
    let own_group = !std::io::stdin().is_terminal();
    let mut run = Command::new("setpriv");
    run.args(["--pdeathsig=TERM", "--"]).args(command).envs(servers.environment()).kill_on_drop(true);
    if own_group {
        run.process_group(0);
    }
    let mut child = run.spawn().map_err(failed("run setpriv (Debian package util-linux)"))?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let send = |signal| match pid {
        Some(pid) if own_group => drop(kill_process_group(pid, signal)),
        Some(pid) => drop(kill_process(pid, signal)),
        None => {}
    };
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(failed("wait for the command"))?,
            _ = interrupt.recv() => send(Signal::INT),
            _ = terminate.recv() => send(Signal::TERM),
        }
    };
    if own_group {
        // What the command left behind would keep our output open and talk to servers that are gone.
        send(Signal::KILL);
    }
    Ok(code_of(status))
}

fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| SIGNAL_BASE + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn ended_by(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(SIGNAL_BASE + signal.as_raw()).unwrap_or(u8::MAX))
}
