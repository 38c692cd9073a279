//! The paid jobs that statuses are asked about and messages name: finished ones, each with a prompt and a video.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};
use bench_runner::postgres::Postgres;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sessile_core::checkout::Owner;
use sessile_core::generation::{
    Generation, GenerationId, Money, NewGeneration, Status, StripeSessionId, Video, VideoStatus,
};
use sessile_core::{Clock as _, SystemClock, Timestamp};
use sessile_store::generation::open_generations;

/// How many there are.
pub(crate) const JOBS: u32 = 2000;
/// How many are made at the same time.
const AT_ONCE: u32 = 64;
const PROMPT: &str = "A paper boat sails down a river of ink, past a city of books. Dusk, soft rain, the camera close \
    to the water, lanterns in the windows; a slow pull back until the river is a line of handwriting on a page, and a hand \
    closes the book. Warm light, shallow depth of field, film grain, no text on screen.";
const MADE_AT: &str = "2026-11-20T12:00:00.000Z";

/// Our name of a job.
pub(crate) fn own_name(number: u32) -> String {
    format!("gen_bench{number:020}")
}

/// Stripe's.
pub(crate) fn stripe_name(number: u32) -> String {
    format!("cs_test_a1{number:058}")
}

/// Makes them in one of our stores, as the program itself would leave them.
pub(crate) fn make_ours(url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open_generations(url).await?;
        let make = |number: u32| {
            let store = store.clone();
            async move {
                let now = SystemClock.now();
                let name = |text: String| GenerationId::parse(&text).context("no name of a job");
                let own = name(own_name(number))?;
                let stripe =
                    StripeSessionId::of_stripe(&stripe_name(number)).context("no name of a session")?;
                store.create(&Generation::new(own.clone(), order(), now), now).await?;
                let bound = store.bind(&own, &stripe, now).await?.context("the job is gone")?;
                store.commit(&finished(bound, number, now).next_revision(now), now).await?;
                anyhow::Ok(())
            }
        };
        for first in (0..JOBS).step_by(AT_ONCE as usize) {
            try_join_all((first..JOBS.min(first + AT_ONCE)).map(make)).await?;
        }
        Ok(())
    })
}

fn order() -> NewGeneration {
    NewGeneration {
        prompt: PROMPT.to_owned(),
        video_count: 1,
        tool_slug: None,
        tool_title: None,
        price_id: "price_single".to_owned(),
        owner: Owner::default(),
    }
}

fn finished(mut job: Generation, number: u32, now: Timestamp) -> Generation {
    let video = Video {
        file_id: Some(file_id(number)),
        status: VideoStatus::Done,
        url: Some(format!("https://videos.example/{number}.mp4")),
        progress: 100,
        next_at: None,
        ..Video::planned(format!("req_bench{number:020}"), number + 1, now)
    };
    job.status = Status::Completed;
    job.file_id.clone_from(&video.file_id);
    let own = job.own_mut();
    own.money = Money::Paid;
    own.files = vec![video];
    job
}

fn file_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The same jobs as the older application keeps them.
fn theirs(number: u32) -> Value {
    json!({
        "prompt": PROMPT, "videoCount": 1, "duration": 8, "resolution": "1280x720", "style": "cinematic",
        "toolSlug": "veo3-prompt-generator", "toolTitle": "Free VEO3 Viral Prompt Generator",
        "createdAt": MADE_AT, "status": "completed", "fileId": file_id(number),
    })
}

/// Makes them in the peer's table.
pub(crate) fn make_theirs_on_postgres(postgres: &Postgres, database: &str) -> Result<()> {
    let data = theirs(0).to_string().replace('\'', "''");
    let statement = format!(
        "insert into jobs (id, data)
         select 'cs_test_a1' || lpad(i::text, 58, '0'),
                jsonb_set('{data}'::jsonb, '{{fileId}}', to_jsonb('00000000-0000-4000-8000-' || lpad(i::text, 12, '0')))
         from generate_series(0, {JOBS} - 1) i"
    );
    postgres.sql(database, &statement)?;
    postgres.sql(database, "vacuum analyze jobs").map(drop)
}

/// Makes them under the peer's keys.
pub(crate) fn make_theirs_on_redis(server: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    for number in 0..JOBS {
        let (key, value) = (format!("session:{}", stripe_name(number)), theirs(number).to_string());
        if ask(&mut stream, &["SET", &key, &value])? != "+OK" {
            bail!("Redis did not take a job");
        }
    }
    Ok(())
}

/// How many keys there are.
pub(crate) fn keys_on_redis(server: SocketAddr) -> Result<u64> {
    let answer = ask(&mut TcpStream::connect(server)?, &["DBSIZE"])?;
    answer.strip_prefix(':').and_then(|count| count.parse().ok()).context("Redis counts in another way")
}

/// One command and its short answer.
fn ask(stream: &mut TcpStream, words: &[&str]) -> Result<String> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}
