//! The part of a switchboard page that lists what is switched on and switches more on.

use maud::{Markup, html};

use crate::switch::{Kind, Lasts, Switch};

/// What is on, a form for one more, and a button for good manners. `base` is the stand-in's own page.
pub(crate) fn misbehaving<K: Kind>(base: &str, active: &[Switch<K>], places: &str) -> Markup {
    let fields = [
        ("lasts", "times, or standing"),
        ("on", "only on"),
        ("copies", "copies"),
        ("connections", "connections"),
        ("delay_ms", "delay, ms"),
        ("message", "message"),
    ];
    html! {
        h2 { "Misbehaving" }
        @if active.is_empty() { p { "Nothing is switched on." } }
        table { @for switch in active { (switched(switch)) } }
        form method="post" action={ (base) "/switch" } {
            div.fields {
                label {
                    "misbehaviour"
                    select name="kind" { @for kind in K::EVERY { option value=(kind.name()) { (kind.name()) } } }
                }
                @for (name, label) in fields { label { (label) input name=(name) autocomplete="off"; } }
            }
            button type="submit" { "Switch on (empty fields keep their defaults)" }
        }
        form method="post" action={ (base) "/clear" } { button.quiet type="submit" { "Good manners again" } }
        p.note { "“Only on” is " (places) ". Or send a JSON list to " code { "POST " (base) "/misbehave" } "." }
    }
}

fn switched<K: Kind>(switch: &Switch<K>) -> Markup {
    html! {
        tr {
            td {
                code { (switch.kind.name()) }
                @if let Some(on) = &switch.on { " on " code { (on) } }
            }
            td {
                @match switch.lasts { Lasts::Times(left) => { (left) " more" } Lasts::Standing => { "standing" } }
            }
        }
    }
}
