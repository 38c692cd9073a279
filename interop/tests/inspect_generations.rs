//! `sessile inspect` on jobs in a Redis as an operator meets them: one that is well, one that is stuck, one that failed,
//! those of the older application, values that are no sessions, and names that nothing is stored under. Each answer says
//! what happened and what to do.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
#[path = "shop/server.rs"]
mod server;

use load::{Outcome, secret};
use reqwest::Client;
use sessile_core::checkout::Owner;
use sessile_core::generation::{
    Called, Generation, GenerationId, GenerationStore, NewGeneration, News, Refund, Seen, Status, StripeNews,
    StripeSessionId,
};
use sessile_core::{Clock as _, SystemClock, Timestamp};
use sessile_interop::servers::Redis;
use sessile_store::generation::open_generations;
use std::sync::Arc;
use std::time::Duration;

/// How long work has been due that is called stuck.
const LONG_AGO: Duration = Duration::from_secs(600);

struct Desk {
    redis: Redis,
    store: Arc<dyn GenerationStore>,
    program: server::Server,
}

impl Desk {
    async fn open() -> Outcome<Self> {
        let redis = Redis::start().await?;
        let env = vec![
            ("SESSILE_ENV", "production".to_owned()),
            ("SESSION_SECRET", secret()?),
            ("REDIS_URL", redis.url()),
            ("STRIPE_SECRET_KEY", "sk_test_inspected".to_owned()),
            ("STRIPE_WEBHOOK_SECRET", format!("whsec_{}", secret()?)),
        ];
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = server::Server::new("inspect", 0, env, Client::new())?;
        Ok(Self { store: open_generations(&redis.url()).await?, redis, program })
    }

    /// The exit code, and what was said.
    async fn inspect(&self, id: &str) -> Outcome<(i32, String)> {
        let output = self.program.run(&["inspect", id]).await?;
        let said = String::from_utf8(output.stdout)?;
        println!("$ sessile inspect {id}\n{said}");
        Ok((output.status.code().ok_or("killed")?, said))
    }

    /// Holds an answer against its words. Every one has the two headings.
    async fn says(&self, id: &str, code: i32, words: &[&str]) -> Outcome<String> {
        let (exit, said) = self.inspect(id).await?;
        assert_eq!(exit, code, "{said}");
        for word in ["what happened", "what to do"].iter().chain(words) {
            assert!(said.contains(word), "{word} is missing in: {said}");
        }
        Ok(said)
    }

    /// Any text under a key, as another application writes it.
    async fn plant(&self, id: &str, value: &str) -> Outcome {
        let client = redis::Client::open(self.redis.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("SETEX")
            .arg(format!("session:{id}"))
            .arg(2_592_000)
            .arg(value)
            .exec_async(&mut connection)
            .await?;
        Ok(())
    }

    /// A job that was paid at some moment.
    async fn paid(&self, name: &str, at: Timestamp) -> Outcome<Generation> {
        let new = NewGeneration {
            prompt: format!("a film about {name}"),
            video_count: 2,
            tool_slug: None,
            tool_title: None,
            price_id: "price_1".to_owned(),
            owner: Owner::default(),
        };
        let id = GenerationId::parse(&format!("gen_{name}")).ok_or("an id")?;
        let stripe = StripeSessionId::of_stripe(&format!("cs_live_{name}")).ok_or("a name of Stripe's")?;
        self.store.create(&Generation::new(id.clone(), new, at), at).await?;
        let bound = self.store.bind(&id, &stripe, at).await?.ok_or("a bound job")?;
        let news = StripeNews {
            event: format!("evt_{name}"),
            kind: "checkout.session.completed".to_owned(),
            news: News::Paid,
            payment_intent: Some(format!("pi_{name}")),
        };
        let requests = [(format!("req_{name}_1"), 1), (format!("req_{name}_2"), 2)];
        Ok(bound.on(&news, &requests, at).ok_or("news")?)
    }

    async fn keep(&self, job: Generation, at: Timestamp) -> Outcome {
        Ok(self.store.commit(&job.next_revision(at), at).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_ours() -> Outcome {
    let desk = Desk::open().await?;
    let now = SystemClock.now();

    let mut well = desk.paid("well", now).await?;
    for video in &mut well.own_mut().files {
        video.calling(now, now);
        video.called(Called::Accepted { file_id: "file".to_owned() }, now);
        video.seen(Seen::Done { url: "https://media.example/film.webm".to_owned() }, now);
    }
    well.status = Status::Completed;
    desk.keep(well, now).await?;
    let said = desk
        .says("cs_live_well", 0, &["Nothing has to be done.", "req_well_1", "evt_well", "film.webm"])
        .await?;
    assert!(said.contains("bound to Stripe's session"), "the timeline is missing: {said}");
    desk.says("gen_well", 0, &["a film about well"]).await?;

    let then = now.minus(LONG_AGO);
    let stuck = desk.paid("stuck", then).await?;
    desk.keep(stuck, then).await?;
    desk.says("cs_live_stuck", 0, &["no worker took it", "Start a worker", "0 of 2 videos"]).await?;

    let mut failed = desk.paid("failed", now).await?;
    if let Some(video) = failed.own_mut().files.first_mut() {
        video.calling(now, now);
        video.called(Called::Refused { message: "The prompt shows a trademark.".to_owned() }, now);
    }
    failed.status = Status::Error;
    failed.error = Some("The prompt shows a trademark.".to_owned());
    failed.own_mut().refund = Refund::Due;
    desk.keep(failed, now).await?;
    let words = ["shows a trademark", "marked for a refund", "--retry", "/v1/generations/<id>/refund"];
    desk.says("cs_live_failed", 0, &words).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_others_and_nothing() -> Outcome {
    let desk = Desk::open().await?;
    // Both count as forgotten 30 days after they were made.
    let made_at = SystemClock.now().minus(LONG_AGO).to_iso8601();
    let old = format!(
        r#"{{"prompt":"an old film","videoCount":1,"status":"processing","createdAt":"{made_at}","toolSlug":"veo3-prompt-generator"}}"#
    );
    desk.plant("cs_live_old", &old).await?;
    desk.says("cs_live_old", 0, &["older application", "an old film", "--retry"]).await?;
    let made = format!(
        r#"{{"prompt":"an old film","videoCount":1,"status":"completed","fileId":"file-1","createdAt":"{made_at}"}}"#
    );
    desk.plant("cs_live_made", &made).await?;
    desk.says("cs_live_made", 0, &["all of its videos", "file-1", "Nothing has to be done."]).await?;

    desk.plant("cs_live_null", "null").await?;
    desk.says("cs_live_null", 1, &["never stored", "Stripe's dashboard", "kept as it is"]).await?;
    desk.plant("cs_live_newer", &old.replacen('{', r#"{"version":99,"id":"gen_1","updatedAt":1,"#, 1))
        .await?;
    desk.says("cs_live_newer", 1, &["newer program"]).await?;
    desk.says("cs_live_nobody", 1, &["No session is stored under this name", "client_reference_id"]).await?;
    desk.says("gen_nobody", 1, &["No session is stored under this name"]).await?;
    Ok(())
}
