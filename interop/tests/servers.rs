//! The private servers do what the other tests rely on: they answer, die, come back with what was committed,
//! and leave nothing behind.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sessile_interop::servers::{Persistence, PgBouncer, Postgres, Proxy, Redis, RedisCluster, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_postgres::{Client, NoTls};

/// Longer than any forwarded byte takes, short enough to wait for nothing.
const NOTHING_COMES: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(10);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn count(url: &str) -> Outcome<i64> {
    Ok(connect(url).await?.query_one("select count(*) from kept", &[]).await?.get(0))
}

#[tokio::test]
async fn postgres_keeps_committed_rows_over_kill_9() -> Outcome {
    let mut postgres = Postgres::start().await?;
    let url = postgres.create_database("kill \"quoted\" me").await?;
    let client = connect(&url).await?;
    client.batch_execute("create table kept (n int); insert into kept values (1), (2)").await?;
    client.batch_execute("begin; insert into kept values (3)").await?;
    let held: String = client.query_one("show fsync", &[]).await?.get(0);
    assert_eq!(held, "on");

    postgres.kill_9().await?;
    assert!(connect(&url).await.is_err(), "a killed server answered");
    assert!(client.query_one("select 1", &[]).await.is_err(), "a killed server's backend answered");

    postgres.restart().await?;
    assert_eq!(count(&url).await?, 2, "committed rows stay, the open transaction does not");
    postgres.restart().await?;
    assert_eq!(count(&url).await?, 2);
    Ok(())
}

#[tokio::test]
async fn dropping_a_server_frees_its_port_and_folder() -> Outcome {
    let postgres = Postgres::start().await?;
    let port = postgres.port();
    let client = connect(&postgres.url()).await?;
    let folder: String = client.query_one("show data_directory", &[]).await?.get(0);
    assert!(Path::new(&folder).parent().is_some_and(Path::exists));
    drop(postgres);
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "port {port} is still taken");
    assert!(!Path::new(&folder).parent().is_some_and(Path::exists), "{folder} is still there");
    Ok(())
}

#[tokio::test]
async fn pgbouncer_pools_transactions_for_any_role() -> Outcome {
    let postgres = Postgres::start().await?;
    postgres.execute("create role app login password 'p@ss/word'").await?;
    let mut pgbouncer = PgBouncer::start(&postgres).await?;

    let url = pgbouncer.url_for_role("app", "p@ss/word", "postgres");
    let who: String = connect(&url).await?.query_one("select current_user::text", &[]).await?.get(0);
    assert_eq!(who, "app");
    let wrong = pgbouncer.url_for_role("app", "wrong", "postgres");
    assert!(connect(&wrong).await.is_err(), "a wrong password was accepted");

    // Two clients with an open transaction hold two server connections; afterwards those are handed out in turn.
    let (first, second) = (connect(&url).await?, connect(&url).await?);
    first.batch_execute("begin; select 1").await?;
    second.batch_execute("begin; select 1").await?;
    first.batch_execute("commit").await?;
    second.batch_execute("commit").await?;
    let mut backends = std::collections::BTreeSet::new();
    for _ in 0..4 {
        for message in first.simple_query("select pg_backend_pid()").await? {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                backends.insert(row.get(0).map(str::to_owned));
            }
        }
    }
    assert!(backends.len() > 1, "one client always got the same server connection: {backends:?}");

    pgbouncer.restart().await?;
    assert!(connect(&url).await.is_ok());
    Ok(())
}

async fn redis_answer(url: &str, command: &[&str]) -> redis::RedisResult<Option<String>> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
}

#[tokio::test]
async fn redis_remembers_what_its_persistence_says() -> Outcome {
    for (persistence, kept) in [(Persistence::Nothing, None), (Persistence::EveryWrite, Some("1".to_owned()))]
    {
        let mut redis = Redis::start_with(persistence).await?;
        redis_answer(&redis.url(), &["SET", "kept", "1"]).await?;
        redis.kill_9().await?;
        assert!(redis_answer(&redis.url(), &["PING"]).await.is_err(), "a killed server answered");
        redis.restart().await?;
        assert_eq!(redis_answer(&redis.url(), &["GET", "kept"]).await?, kept, "{persistence:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_cluster_has_three_masters_and_serves_every_slot() -> Outcome {
    let mut cluster = RedisCluster::start().await?;
    assert_eq!(cluster.url().split(',').count(), 3);
    let info = redis_answer(&cluster.urls()[0], &["CLUSTER", "NODES"]).await?.unwrap_or_default();
    assert_eq!(
        info.lines().filter(|line| line.contains("master") && line.contains("connected")).count(),
        3,
        "{info}"
    );

    let client = redis::cluster::ClusterClient::new(cluster.urls())?;
    let mut connection = client.get_async_connection().await?;
    for n in 0..50 {
        let key = format!("key-{n}");
        redis::cmd("SET").arg(&key).arg(n).query_async::<()>(&mut connection).await?;
        assert_eq!(redis::cmd("GET").arg(&key).query_async::<i64>(&mut connection).await?, n);
    }

    let node = &mut cluster.nodes_mut()[1];
    let before = redis_answer(&node.url(), &["DBSIZE"]).await;
    node.kill_9().await?;
    node.restart().await?;
    assert_eq!(redis_answer(&node.url(), &["DBSIZE"]).await, before, "a restarted node lost writes");
    cluster.wait_until_serving().await?;
    Ok(())
}

/// A server that sends back what it gets.
async fn echo() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Ok(address)
}

async fn echoes(stream: &mut TcpStream, byte: u8) -> Option<bool> {
    stream.write_all(&[byte]).await.ok()?;
    next_is(stream, byte).await
}

/// `None` when nothing comes; `Some(false)` when the connection ended or another byte came.
async fn next_is(stream: &mut TcpStream, byte: u8) -> Option<bool> {
    let mut got = [0];
    let read = timeout(NOTHING_COMES, stream.read_exact(&mut got)).await.ok()?;
    Some(read.is_ok() && got[0] == byte)
}

#[tokio::test]
async fn the_proxy_cuts_stalls_and_restores() -> Outcome {
    let proxy = Proxy::start(&echo().await?).await?;
    let address = ("127.0.0.1", proxy.port());
    let mut stream = TcpStream::connect(address).await?;
    assert_eq!(echoes(&mut stream, 1).await, Some(true));

    proxy.stall().await?;
    let mut late = TcpStream::connect(address).await?;
    assert_eq!(echoes(&mut stream, 2).await, None, "a stalled proxy forwarded");
    assert_eq!(echoes(&mut late, 3).await, None, "a stalled proxy forwarded");
    proxy.restore().await?;
    assert_eq!(next_is(&mut stream, 2).await, Some(true), "what was sent during the stall arrives");
    assert_eq!(next_is(&mut late, 3).await, Some(true), "what was sent during the stall arrives");

    proxy.cut().await?;
    assert_eq!(next_is(&mut stream, 0).await, Some(false), "the connection outlived the cut");
    assert!(TcpStream::connect(address).await.is_err(), "a cut proxy accepted a connection");
    proxy.restore().await?;
    assert_eq!(echoes(&mut TcpStream::connect(address).await?, 4).await, Some(true));
    Ok(())
}

#[tokio::test]
async fn a_write_can_land_while_its_reply_is_lost() -> Outcome {
    let redis = Redis::start().await?;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let url = proxy.url_of(&redis.url())?;
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;

    proxy.stall_replies().await?;
    let mut set = redis::cmd("SET");
    let write = set.arg("landed").arg("1").query_async::<()>(&mut connection);
    let cut_after_landing = async {
        eventually("the write to land", SOON, async || {
            redis_answer(&redis.url(), &["GET", "landed"]).await.ok().flatten()
        })
        .await?;
        proxy.cut().await
    };
    let (written, cut) = tokio::join!(write, cut_after_landing);
    cut?;
    assert!(written.is_err(), "a reply came through a cut");
    Ok(())
}

#[tokio::test]
async fn exec_passes_urls_and_the_exit_code_on() -> Outcome {
    let script = "test -z \"$SESSILE_TEST_REDIS_CLUSTER_URL\" && echo \"$SESSILE_TEST_REDIS_URL\" && exit 7";
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_servers"))
        .args(["exec", "--only", "redis", "--", "sh", "-c", script])
        .env_remove("SESSILE_TEST_REDIS_CLUSTER_URL")
        .stdin(Stdio::null())
        .output()
        .await?;
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let url = String::from_utf8(output.stdout)?;
    assert!(url.starts_with("redis://127.0.0.1:"), "{url}");
    assert!(redis_answer(url.trim(), &["PING"]).await.is_err(), "the server outlived its command");
    Ok(())
}

/// Starts Postgres under `servers exec` and answers the program and Postgres' data folder.
async fn exec_postgres() -> Outcome<(tokio::process::Child, String)> {
    let script = "trap 'exit 3' TERM; echo \"$SESSILE_TEST_POSTGRES_URL\"; while :; do sleep 0.05; done";
    let mut servers = tokio::process::Command::new(env!("CARGO_BIN_EXE_servers"))
        .args(["exec", "--only", "postgres", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = servers.stdout.as_mut().ok_or("no output")?;
    let mut url = String::new();
    while !url.ends_with('\n') {
        url.push(char::from(timeout(Duration::from_secs(60), stdout.read_u8()).await??));
    }
    let row = connect(url.trim()).await?.query_one("show data_directory", &[]).await?;
    Ok((servers, row.get(0)))
}

async fn gone(folder: &str) -> Outcome {
    let folder = Path::new(folder).parent().ok_or("no parent")?;
    Ok(eventually("the folder to go", SOON, async || (!folder.exists()).then_some(())).await?)
}

#[tokio::test]
async fn exec_passes_signals_on_and_cleans_up() -> Outcome {
    let (mut servers, folder) = exec_postgres().await?;
    let pid = servers.id().ok_or("no pid")?.to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status()?.success());
    assert_eq!(servers.wait().await?.code(), Some(3), "the command's own answer to SIGTERM");
    gone(&folder).await
}

#[tokio::test]
async fn nothing_outlives_a_killed_exec() -> Outcome {
    let (mut servers, folder) = exec_postgres().await?;
    let pid_file = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"))?;
    let postmaster = pid_file.lines().next().ok_or("no pid")?.to_owned();
    servers.kill().await?;
    gone(&folder).await?;
    let state = std::fs::read_to_string(format!("/proc/{postmaster}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "postgres outlived its owner: {state}");
    Ok(())
}
