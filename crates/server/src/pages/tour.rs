//! The page of the tour: five flows to walk through, what is stored as it changes, and what can be broken. Complete without
//! its script, which keeps the live parts live and presses buttons without leaving the page.

use super::{TOUR_SCRIPT, address_of, document, moment};
use crate::admin::StoredRow;
use crate::http::PROMPT_PATH;
use crate::http::whatsapp::PAGE_PATH;
use crate::tour::{Act, DATABASE_AWAY, Entry, Sort, WORKERS_AWAY};
use maud::{Markup, html};
use sessile::Timestamp;
use std::sync::LazyLock;
use std::time::Duration;

static SCRIPT_ADDRESS: LazyLock<String> = LazyLock::new(|| address_of("/assets/tour.js", TOUR_SCRIPT));

/// Everything on it.
pub(crate) struct TourView<'t> {
    pub(crate) signed_in: bool,
    /// There is a session, and its store does not answer.
    pub(crate) session_away: bool,
    pub(crate) sign_in: &'t str,
    /// Whether there is a wizard.
    pub(crate) sells: bool,
    /// Whether videos are sold.
    pub(crate) videos: bool,
    /// Names and addresses of the stand-in providers.
    pub(crate) stand_ins: &'t [(String, String)],
    /// The file with the operator's token.
    pub(crate) token_at: Option<&'t str>,
    /// The last change first.
    pub(crate) rows: Vec<StoredRow>,
    /// How much longer the database is cut off.
    pub(crate) cut_for: Option<Duration>,
    /// Sign-ins and sign-outs that wait for the database.
    pub(crate) spooled: u64,
    pub(crate) workers_away: bool,
    pub(crate) can_lose_replies: bool,
    pub(crate) can_repeat: bool,
    /// The newest first.
    pub(crate) diary: Vec<Entry>,
    pub(crate) now: Timestamp,
}

/// `/` in development.
pub(crate) fn tour(view: &TourView<'_>) -> Markup {
    let corner = html! {
        @if view.signed_in { a.button href="/dashboard" { "Dashboard" } }
    };
    let content = html! {
        div.tour data-page="tour" {
            header.opening {
                h1 { "Break it. Nothing gets lost." }
                p {
                    "A whole application runs on this machine, with stand-ins for the providers that it talks to. Walk through "
                    "its five kinds of session, watch what is stored, then take something away: a worker, the database, an "
                    "answer. Every row goes on from where it was."
                }
            }
            (flows(view))
            div.sides {
                div { (stored(view)) (happened(view)) }
                (breaks(view))
            }
            (more(view))
        }
    };
    document("Tour", &corner, &content, Some(&SCRIPT_ADDRESS))
}

fn flows(view: &TourView<'_>) -> Markup {
    html! {
        ol.flows aria-label="Five flows" {
            (flow("Sign in", "People wait for you at a stand-in for Whop. Kill this program and start it again: \
                you are still signed in.", &html! {
                @if view.signed_in {
                    a.button.main href="/dashboard" { "Go to your dashboard" }
                } @else if view.session_away {
                    span.soft.small { "You are not signed out; the database is away." }
                } @else {
                    a.button.main href=(view.sign_in) { "Sign in" }
                    a.quiet href="/auth/dev" { "Skip the provider" }
                }
                (aside(view, "Whop"))
            }))
            (flow("Check out", "Put tracks into an order, go back, change your mind. The price is always the server’s, and \
                an order that expired can be continued.", &html! {
                @if view.sells { a.button href="/add" { "Place an order" } } @else { (not_here()) }
            }))
            (flow("Pay", "The order is paid at a stand-in for CLICK, which may repeat itself or fall silent. The money \
                counts once.", &html! {
                (side(view, "CLICK"))
            }))
            (flow("Make a video", "A prompt, a payment, and a long job. The prompt is stored before anybody pays, and the \
                video is ordered once.", &html! {
                @if view.videos { a.button href=(PROMPT_PATH) { "Make a video" } } @else { (not_here()) }
                (aside(view, "Stripe"))
                (aside(view, "SuperDuperAI"))
            }))
            (flow("Link a phone", "Scan a code with your own WhatsApp; this one has no stand-in. The device stays linked \
                through every restart.", &html! {
                a.button href=(PAGE_PATH) { "Link a phone" }
            }))
        }
    }
}

fn flow(title: &str, says: &str, ways: &Markup) -> Markup {
    html! {
        li.flow {
            h2 { (title) }
            p { (says) }
            div.ways { (ways) }
        }
    }
}

fn not_here() -> Markup {
    html! { span.soft.small { "Not set up here." } }
}

fn address<'t>(view: &TourView<'t>, name: &str) -> Option<&'t str> {
    view.stand_ins.iter().find(|(known, _)| known == name).map(|(_, address)| address.as_str())
}

/// A stand-in's own page, where it is the other side of a flow.
fn side(view: &TourView<'_>, name: &str) -> Markup {
    html! {
        @match address(view, name) {
            Some(address) => a.button href=(address) { "See " (name) "’s side" },
            None => span.soft.small { "With the real " (name) "." },
        }
    }
}

/// The same, on the way.
fn aside(view: &TourView<'_>, name: &str) -> Markup {
    html! { @if let Some(address) = address(view, name) { a.quiet href=(address) { (name) "’s side" } } }
}

fn stored(view: &TourView<'_>) -> Markup {
    html! {
        section.card.stored aria-labelledby="stored" {
            div.head {
                h2 #stored { "What is stored" }
                p.soft.small.pulse data-pulse hidden { span.dot aria-hidden="true" {} span data-pulse-says { "Live" } }
            }
            div data-live="state" { (state(view)) }
            div data-live="rows" { (rows(view)) }
        }
    }
}

/// What is away, and what waits for it.
fn state(view: &TourView<'_>) -> Markup {
    html! {
        ul.chips aria-label="This server" {
            @match view.cut_for {
                None => li.good { "Database answers" },
                Some(left) => li.bad { "Database cut off for " (seconds(left)) " s" },
            }
            @if view.workers_away { li.bad { "Workers away" } } @else { li.good { "Workers at work" } }
            @if view.spooled > 0 { li.busy { (view.spooled) " waiting in the spool" } }
        }
    }
}

/// A part of a second counts as one.
const fn seconds(left: Duration) -> u128 {
    left.as_millis().div_ceil(1000)
}

fn rows(view: &TourView<'_>) -> Markup {
    html! {
        @if view.rows.is_empty() {
            p.nothing { "Nothing yet. Sign in, and the first row appears here." }
        } @else {
            table aria-label="Sessions, the last change first" {
                thead { tr { th scope="col" { "Kind" } th scope="col" { "Name" } th scope="col" { "State" } th scope="col" { "Changed" } } }
                tbody {
                    @for row in &view.rows {
                        tr data-key={ (row.kind) " " (row.fingerprint) } data-at=(row.updated_at.unix_ms()) {
                            td { strong { (row.kind) } span.soft.small.block { (row.what) } }
                            td { code { (row.fingerprint) } }
                            td { span.state.(row.tone) { (row.state.replace('_', " ")) } }
                            td { (lately(row.updated_at, view.now)) }
                        }
                    }
                }
            }
            p.soft.small.alone { "Names are fingerprints, as in the log. Of logins, yours are shown." }
        }
    }
}

/// How long ago, by the second while it is recent.
fn lately(at: Timestamp, now: Timestamp) -> Markup {
    let seconds = now.since(at).as_secs();
    let words = if seconds < 60 { format!("{seconds} s ago") } else { moment::ago(at, now) };
    html! { time datetime=(at.to_iso8601()) title=(at.to_iso8601()) { (words) } }
}

fn breaks(view: &TourView<'_>) -> Markup {
    html! {
        section.card.breaks aria-labelledby="break" {
            h2 #break { "Break something" }
            ul {
                @for act in Act::ALL.into_iter().filter(|act| is_offered(view, *act)) {
                    li {
                        form method="post" action={ "/tour/" (act.name()) } data-act {
                            button type="submit" aria-describedby={ "look-" (act.name()) } { (label(act)) }
                        }
                        p.soft.small id={ "look-" (act.name()) } { (look(act)) }
                    }
                }
            }
        }
    }
}

fn happened(view: &TourView<'_>) -> Markup {
    html! {
        section.card.happened aria-labelledby="happened" {
            h2 #happened { "What happened" }
            div data-live="diary" role="log" aria-labelledby="happened" { (diary(view)) }
        }
    }
}

const fn is_offered(view: &TourView<'_>, act: Act) -> bool {
    match act {
        Act::KillWorkers | Act::CutDatabase | Act::RestartWorkers => true,
        Act::LoseReply => view.can_lose_replies,
        Act::RepeatWebhook => view.can_repeat,
    }
}

fn label(act: Act) -> String {
    match act {
        Act::KillWorkers => "Kill the workers".to_owned(),
        Act::CutDatabase => format!("Cut the database for {} s", DATABASE_AWAY.as_secs()),
        Act::RepeatWebhook => "Send the last webhook ten times".to_owned(),
        Act::LoseReply => "Make CLICK lose our next reply".to_owned(),
        Act::RestartWorkers => "Restart the workers".to_owned(),
    }
}

/// What to look at.
fn look(act: Act) -> String {
    match act {
        Act::KillWorkers => format!(
            "Pay for a video first: it stands still for {} s, then goes on with the call that was made.",
            WORKERS_AWAY.as_secs()
        ),
        Act::CutDatabase => {
            "Sign in meanwhile: that works, and waits in the spool. Orders ask you to try again, providers \
             repeat themselves, and no row falls back."
                .to_owned()
        }
        Act::RepeatWebhook => {
            "Look at the paid row: its state and its last change stay as they are.".to_owned()
        }
        Act::LoseReply => {
            "Pay for an order: CLICK asks again, hears the same, and the payment completes once.".to_owned()
        }
        Act::RestartWorkers => "What is in hand is finished first, so no row notices.".to_owned(),
    }
}

fn diary(view: &TourView<'_>) -> Markup {
    let sort = |entry: &Entry| match entry.sort {
        Sort::Broken => "bad",
        Sort::Mended => "good",
        Sort::Tried => "idle",
    };
    html! {
        @if view.diary.is_empty() {
            p.nothing { "Nothing was broken yet." }
        } @else {
            ol.diary { @for entry in &view.diary {
                li.(sort(entry)) { (entry.text) " " span.soft.small { (lately(entry.at, view.now)) } }
            } }
        }
    }
}

fn more(view: &TourView<'_>) -> Markup {
    html! {
        section.card.more aria-labelledby="more" {
            h2 #more { "And then" }
            ul {
                li {
                    strong { "Kill the program itself. " }
                    "Ctrl-C, or kill -9, in the middle of anything; start it again and reload. Only the stand-ins forget."
                }
                li {
                    strong { "Be the operator. " }
                    a href="/admin" { "The dashboard" } " has every session with its timeline, and may revoke, refund and retry."
                    @if let Some(path) = view.token_at { " Its token is in " code { (path) } "." }
                }
                li {
                    strong { "Make it real. " }
                    "Set a provider’s variables and its stand-in is gone; " code { "sessile doctor" } " says what is missing."
                }
            }
            p.soft.small.alone { "Development: this page and its buttons are for this machine only, and exist nowhere else." }
        }
    }
}
