//! The pages of paid jobs: where a prompt is written, and where its videos appear, each with a bar of its own.
//!
//! They show what is stored when they are made; the script `generation.js` sends the prompt, listens to the job's stream
//! and moves the bars.

use super::wizard::{Visitor, needs_script, say};
use super::{GENERATION_SCRIPT, address_of, document};
use maud::{Markup, html};
use sessile_core::generation::{Generation, PROMPT_BYTES_MAX, Status, VIDEOS_MAX, Video, VideoStatus};
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
    let status = view.job.map_or("unknown", |job| job.status.name());
    let (heading, sentence) = words(view.job);
    let content = html! {
        div data-page="videos" data-id=(view.id) data-status=(status) {
            section.card aria-labelledby="outcome" {
                div.outcome.(sign(view.job)) data-outcome {
                    span.sign aria-hidden="true" {}
                    h1 #outcome data-heading { (heading) }
                }
                p data-sentence { (sentence) }
                p.unseen role="status" aria-live="polite" data-say {}
                noscript { p.notice { "Reload this page to see how it goes: JavaScript is switched off in your browser." } }
                @if let Some(job) = view.job {
                    ol.videos { @for number in 0..job.video_count { (video(number, job)) } }
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
    html! {
        li data-video=(at) {
            p.head { strong { (name) } span.soft data-state { (state(file)) } }
            progress max="100" value=(progress) aria-label={ "Progress of " (name) } hidden[url.is_some()] {}
            @match url {
                Some(url) => video controls playsinline preload="metadata" src=(url) aria-label=(name) {},
                None => video controls playsinline preload="metadata" aria-label=(name) hidden {},
            }
            p.bad data-error hidden[error.is_none()] { (error.unwrap_or_default()) }
        }
    }
}

fn state(file: Option<&Video>) -> &'static str {
    match file.map(|file| file.status) {
        None | Some(VideoStatus::Planned) => "Waiting",
        Some(VideoStatus::Calling | VideoStatus::Asking) => "Ordering",
        Some(VideoStatus::Running) => "Being made",
        Some(VideoStatus::Done) => "Done",
        Some(VideoStatus::Failed) => "Not made",
    }
}

/// Which of the outcomes' signs it is.
fn sign(job: Option<&Generation>) -> &'static str {
    match job.map(|job| job.status) {
        None | Some(Status::Pending) => "pending",
        Some(Status::Processing) => "processing",
        Some(Status::Completed) => "completed",
        Some(Status::Error) => "failed",
    }
}

fn words(job: Option<&Generation>) -> (&'static str, &str) {
    let Some(job) = job else {
        return (
            "Waiting for Stripe",
            "We have not heard of this payment yet. This page shows it within moments.",
        );
    };
    match job.status {
        Status::Pending => (
            "Waiting for your payment",
            "Stripe has not confirmed the payment yet. This page shows it within moments.",
        ),
        Status::Processing => (
            "Paid. Your videos are being made",
            "This takes a few minutes. You can close this page and come back: its address stays good for 30 days.",
        ),
        Status::Completed => ("Your videos are ready", "They can be watched and saved here."),
        Status::Error => (
            "This did not work",
            job.error.as_deref().unwrap_or("The videos could not be made. We have been told."),
        ),
    }
}

fn shown(prompt: &str) -> String {
    let mut chars = prompt.chars();
    let mut text: String = chars.by_ref().take(PROMPT_CHARS_SHOWN).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
