//! The pages of paid jobs: where a prompt is written, and where its videos appear, each with a bar of its own.
//!
//! They show what is stored when they are made; the script `generation.js` sends the prompt, listens to the job's stream
//! and moves the bars. What it may have to say later stands in the page, so that every sentence is written here, once.

use super::wizard::{Visitor, needs_script, say};
use super::{GENERATION_SCRIPT, address_of, document};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use sessile_core::generation::{Generation, PROMPT_BYTES_MAX, Refund, Status, VIDEOS_MAX, VideoStatus};
use std::sync::LazyLock;

/// Videos in one order when nobody chose.
const USUAL_COUNT: u32 = 1;
/// Characters of a prompt that a page repeats.
const PROMPT_CHARS_SHOWN: usize = 400;

static SCRIPT_ADDRESS: LazyLock<String> =
    LazyLock::new(|| address_of("/assets/generation.js", GENERATION_SCRIPT));

/// What the prompt's page needs.
pub(crate) struct PromptView<'p> {
    /// What one video costs, as Stripe names it.
    pub(crate) price: &'p str,
}

/// `/en/tool/veo3-prompt-generator`.
pub(crate) fn prompt(visitor: &Visitor, view: &PromptView<'_>) -> Markup {
    let content = html! {
        div data-page="prompt" data-price=(view.price) data-bytes-max=(PROMPT_BYTES_MAX) {
            section.card {
                h1 { "What should the video show?" }
                p.soft { "Write as much as you like: every word reaches the video service as you wrote it." }
                (needs_script())
                form.prompt data-form {
                    label for="prompt" { "Prompt" }
                    textarea #prompt name="prompt" rows="10" required dir="auto" {}
                    label for="quantity" { "Videos" }
                    select #quantity name="quantity" {
                        @for count in 1..=VIDEOS_MAX {
                            option value=(count) selected[count == USUAL_COUNT] { (count) }
                        }
                    }
                    p.soft.small { "You see what it costs on Stripe's page, before you pay." }
                    (say())
                    div.actions { button.main type="submit" disabled { "Continue to payment" } }
                }
            }
        }
    };
    document("Make a video", &visitor.corner(), &content, Some(&SCRIPT_ADDRESS))
}

/// A job as its page shows it.
pub(crate) struct VideosView<'v> {
    /// Stripe's name of the payment.
    pub(crate) id: &'v str,
    /// What is stored under it.
    pub(crate) job: Option<&'v Generation>,
}

/// `/en/payment-success/{id}`.
pub(crate) fn videos(visitor: &Visitor, view: &VideosView<'_>) -> Markup {
    let outcome = Outcome::of(view.job);
    let count = view.job.map_or(1, |job| job.video_count);
    let (heading, _) = outcome.words(count);
    let content = html! {
        div data-page="videos" data-id=(view.id) data-outcome=(outcome.name()) data-words=(every_word(count)) {
            section.card aria-labelledby="outcome" {
                div.outcome.(outcome.sign()) data-sign {
                    span.sign aria-hidden="true" {}
                    h1 #outcome data-heading { (heading) }
                }
                p data-sentence { (sentence(view.job, outcome, count)) }
                p.unseen role="status" aria-live="polite" data-say {}
                noscript { p.notice { "Reload this page to see how it goes: JavaScript is switched off in your browser." } }
                @if let Some(job) = view.job {
                    ol.videos data-videos hidden[job.own().files.is_empty()] {
                        @for number in 0..job.video_count { (video(number, job)) }
                    }
                    details { summary { "Your prompt" } p.written dir="auto" { (shown(&job.prompt)) } }
                }
                div.actions { a.button href=(crate::http::PROMPT_PATH) { "Make another video" } }
            }
        }
    };
    document(heading, &visitor.corner(), &content, Some(&SCRIPT_ADDRESS))
}

fn video(at: u32, job: &Generation) -> Markup {
    let file = usize::try_from(at).ok().and_then(|at| job.own().files.get(at));
    let name = format!("Video {}", at + 1);
    let progress = file.map_or(0, |file| file.progress);
    let url = file.and_then(|file| file.url.as_deref());
    let error = file.and_then(|file| file.error.as_deref());
    let moves = file.is_none_or(|file| !matches!(file.status, VideoStatus::Done | VideoStatus::Failed));
    html! {
        li data-video=(at) {
            p.head { strong { (name) } span.soft data-state { (state(file.map(|file| file.status))) } }
            progress max="100" value=(progress) aria-label={ "Progress of " (name) } hidden[!moves] {}
            @match url {
                Some(url) => video controls playsinline preload="metadata" src=(url) aria-label=(name) {},
                None => video controls playsinline preload="metadata" aria-label=(name) hidden {},
            }
            p.bad data-error hidden[error.is_none()] { (error.unwrap_or_default()) }
        }
    }
}

/// What one video is doing, in a word or two.
fn state(status: Option<VideoStatus>) -> &'static str {
    match status {
        None | Some(VideoStatus::Planned) => "Waiting",
        Some(VideoStatus::Calling | VideoStatus::Asking) => "Ordering",
        Some(VideoStatus::Running) => "Being made",
        Some(VideoStatus::Done) => "Done",
        Some(VideoStatus::Failed) => "Not made",
    }
}

/// How a job stands, as its buyer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing is stored, or not yet.
    Unknown,
    Pending,
    Processing,
    Completed,
    /// It ended before anything was made: the job's own sentence says how.
    Nothing,
    OneFailed,
    SomeFailed,
    AllFailed,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Pending,
        Self::Processing,
        Self::Completed,
        Self::Nothing,
        Self::OneFailed,
        Self::SomeFailed,
        Self::AllFailed,
    ];

    fn of(job: Option<&Generation>) -> Self {
        let Some(job) = job else { return Self::Unknown };
        let files = &job.own().files;
        let failed = files.iter().filter(|file| file.status == VideoStatus::Failed).count();
        match job.status {
            Status::Pending => Self::Pending,
            Status::Processing => Self::Processing,
            Status::Completed => Self::Completed,
            Status::Error if failed == 0 => Self::Nothing,
            Status::Error if failed == files.len() => Self::AllFailed,
            Status::Error if failed == 1 => Self::OneFailed,
            Status::Error => Self::SomeFailed,
        }
    }

    /// As the script names it.
    const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Nothing => "nothing",
            Self::OneFailed => "one-failed",
            Self::SomeFailed => "some-failed",
            Self::AllFailed => "all-failed",
        }
    }

    /// Which of the outcomes' signs it is.
    const fn sign(self) -> &'static str {
        match self {
            Self::Unknown | Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Nothing | Self::OneFailed | Self::SomeFailed | Self::AllFailed => "failed",
        }
    }

    /// Heading and sentence, for a job of so many videos.
    const fn words(self, count: u32) -> (&'static str, &'static str) {
        const SOON: &str = "This takes a few minutes. You can close this page and come back: its address stays good \
            for 30 days.";
        const MENDED: &str = "We know about it: what is missing is made after all, or your money goes back. You need \
            not do anything.";
        match (self, count) {
            (Self::Unknown, _) => (
                "Waiting for Stripe",
                "We have not heard of this payment yet. This page shows it within moments.",
            ),
            (Self::Pending, _) => (
                "Waiting for your payment",
                "Stripe has not confirmed the payment yet. This page shows it within moments.",
            ),
            (Self::Processing, 1) => ("Paid. Your video is being made", SOON),
            (Self::Processing, _) => ("Paid. Your videos are being made", SOON),
            (Self::Completed, 1) => ("Your video is ready", "It can be watched and saved here for 30 days."),
            (Self::Completed, _) => {
                ("Your videos are ready", "They can be watched and saved here for 30 days.")
            }
            (Self::Nothing, _) => ("Nothing was made", "We have been told. Nothing has to be done about it."),
            (Self::OneFailed, _) => ("One video could not be made", MENDED),
            (Self::SomeFailed, _) => ("Some videos could not be made", MENDED),
            (Self::AllFailed, 1) => ("Your video could not be made", MENDED),
            (Self::AllFailed, _) => ("Your videos could not be made", MENDED),
        }
    }
}

/// What stands below the heading.
fn sentence(job: Option<&Generation>, outcome: Outcome, count: u32) -> &str {
    let error = job.and_then(|job| job.error.as_deref());
    match (outcome, job.map_or(Refund::None, |job| job.own().refund), error) {
        (Outcome::Nothing, _, Some(error)) => error,
        (_, Refund::Ordered, _) => "Your money is on its way back to you.",
        (_, Refund::Done, _) => "Your money went back to you.",
        _ => outcome.words(count).1,
    }
}

/// Everything that the script may have to say later, as JSON.
fn every_word(count: u32) -> String {
    let outcome = |outcome: Outcome| {
        let (heading, sentence) = outcome.words(count);
        let words = json!({ "sign": outcome.sign(), "heading": heading, "sentence": sentence });
        (outcome.name().to_owned(), words)
    };
    let states = [
        VideoStatus::Planned,
        VideoStatus::Calling,
        VideoStatus::Asking,
        VideoStatus::Running,
        VideoStatus::Done,
        VideoStatus::Failed,
    ];
    let states: Vec<Value> = states.into_iter().map(|status| json!([status, state(Some(status))])).collect();
    let outcomes: Map<String, Value> = Outcome::ALL.into_iter().map(outcome).collect();
    json!({ "outcomes": outcomes, "states": states }).to_string()
}

fn shown(prompt: &str) -> String {
    let mut chars = prompt.chars();
    let mut text: String = chars.by_ref().take(PROMPT_CHARS_SHOWN).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::Timestamp;
    use sessile_core::checkout::Owner;
    use sessile_core::generation::Video;
    use sessile_core::generation::{GenerationId, NewGeneration};

    /// A job of so many videos, the first of which failed.
    fn job(status: Status, count: u32, failed: u32) -> Generation {
        let now = Timestamp::from_unix_ms(1_800_000_000_000);
        let new = NewGeneration {
            prompt: "a <b>cat</b>".into(),
            video_count: count,
            tool_slug: None,
            tool_title: None,
            price_id: "price_1".into(),
            owner: Owner::default(),
        };
        let mut job = Generation::new(GenerationId::parse("gen_1").unwrap(), new, now);
        job.status = status;
        let of = |number: u32| if number < failed { VideoStatus::Failed } else { VideoStatus::Done };
        let video = |number| Video { status: of(number), ..Video::planned(format!("req_{number}"), 1, now) };
        job.own_mut().files = (0..count).map(video).collect();
        job
    }

    #[test]
    fn what_a_page_says_follows_from_the_videos() {
        let said = |status, count, failed| {
            let outcome = Outcome::of(Some(&job(status, count, failed)));
            (outcome, outcome.words(count).0)
        };
        assert_eq!(said(Status::Completed, 1, 0), (Outcome::Completed, "Your video is ready"));
        assert_eq!(said(Status::Completed, 3, 0), (Outcome::Completed, "Your videos are ready"));
        assert_eq!(said(Status::Error, 3, 1), (Outcome::OneFailed, "One video could not be made"));
        assert_eq!(said(Status::Error, 3, 2), (Outcome::SomeFailed, "Some videos could not be made"));
        assert_eq!(said(Status::Error, 3, 3), (Outcome::AllFailed, "Your videos could not be made"));
        assert_eq!(said(Status::Error, 1, 1), (Outcome::AllFailed, "Your video could not be made"));
        assert_eq!(said(Status::Error, 0, 0).0, Outcome::Nothing);
        assert_eq!(Outcome::of(None), Outcome::Unknown);
    }

    #[test]
    fn the_end_of_a_job_is_told_by_its_money() {
        let mut job = job(Status::Error, 2, 1);
        let outcome = Outcome::of(Some(&job));
        assert!(sentence(Some(&job), outcome, 2).contains("made after all"));
        job.own_mut().refund = Refund::Done;
        assert_eq!(sentence(Some(&job), outcome, 2), "Your money went back to you.");
        job.own_mut().files.clear();
        job.error = Some("The payment page expired before it was paid. Nothing was charged.".to_owned());
        assert_eq!(sentence(Some(&job), Outcome::of(Some(&job)), 2), job.error.clone().unwrap());
    }

    /// The script has no words of its own: a state that the page does not name would be shown as it is.
    #[test]
    fn the_script_finds_words_for_whatever_a_stream_says() {
        let words: Value = serde_json::from_str(&every_word(3)).unwrap();
        for status in [Status::Pending, Status::Processing, Status::Completed] {
            assert!(words["outcomes"][status.name()]["heading"].is_string(), "{status:?}");
        }
        for name in ["unknown", "nothing", "one-failed", "some-failed", "all-failed"] {
            assert!(GENERATION_SCRIPT.contains(&format!("'{name}'")), "the script does not say {name}");
            assert!(words["outcomes"][name]["sentence"].is_string(), "{name}");
        }
        let states: Vec<&str> =
            words["states"].as_array().unwrap().iter().filter_map(|pair| pair[0].as_str()).collect();
        assert_eq!(states, ["planned", "calling", "asking", "running", "done", "failed"]);
    }
}
