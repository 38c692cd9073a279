//! The switchboard's page: generations with their videos, calls, switches.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::Switch;
use super::generation::{Generation, GenerationState};
use crate::page::page;
use crate::switch_form::misbehaving;

/// How much of a prompt is shown.
const PROMPT_CHARS_SHOWN: usize = 300;

pub(crate) fn board(active: &[Switch], counts: &BTreeMap<String, u64>, generations: &[Generation]) -> Markup {
    page(
        "Stand-in SuperDuperAI",
        "wide",
        &html! {
            h1 { "Stand-in SuperDuperAI" }
            h2 { "Generations" }
            @if generations.is_empty() { p { "Nobody has asked for a video." } }
            @for generation in generations { (row(generation)) }
            (misbehaving("/sandbox/superduperai", active, "a route as below, a file's id, or seed:<number>"))
            h2 { "So far" }
            table { @for (what, count) in counts { tr { td { (what) } td { (count) } } } }
        },
    )
}

/// Why a form of the page got nowhere.
pub(crate) fn refused(why: &str) -> Markup {
    page(
        "Refused (stand-in SuperDuperAI)",
        "",
        &html! {
            h1 { "This request was refused" }
            p { (why) "." }
            p { a href="/sandbox/superduperai" { "Back" } }
        },
    )
}

fn row(generation: &Generation) -> Markup {
    let state = match &generation.state {
        GenerationState::Rendering => format!("rendering, {} %", generation.progress),
        GenerationState::Completed => "completed".to_owned(),
        GenerationState::Failed { message, .. } => format!("failed: {message}"),
    };
    let chars = generation.prompt.chars().count();
    let mut shown: String = generation.prompt.chars().take(PROMPT_CHARS_SHOWN).collect();
    if chars > PROMPT_CHARS_SHOWN {
        shown.push('…');
    }
    html! {
        details {
            summary { strong { (state) } " · " code { (generation.file_id) } }
            p dir="auto" { (shown) }
            p.note {
                (chars) " characters, " (generation.body.len()) " bytes of request"
                @if let Some(seed) = generation.seed { ", seed " (seed) }
            }
            @if let Some(url) = &generation.url { video src=(url) controls muted playsinline preload="metadata" {} }
            @if generation.state == GenerationState::Rendering {
                form method="post" action="/sandbox/superduperai/act" {
                    input type="hidden" name="id" value=(generation.file_id);
                    button type="submit" name="act" value="finish" { "Finish now" }
                    button type="submit" name="act" value="fail" { "Fail now" }
                }
            }
        }
    }
}
