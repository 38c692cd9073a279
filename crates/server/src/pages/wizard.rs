//! The wizard's first two pages: which tracks, and a package for each of them; and what all its pages share.
//!
//! The prices stand in the page as the server computed them. The script `wizard.js` keeps what is typed, asks the
//! checkout routes and moves on; it never computes a price.

use super::price::price_text;
use super::scripted;
use maud::{Markup, html};
use serde_json::{Value, json};
use sessile_core::checkout::{Catalogue, Package};
use sessile_core::money::{Minor, Price};

/// Tracks that the form takes.
const TRACKS_MAX: usize = 20;
/// Characters of a title or an artist that the form takes.
const NAME_CHARS_MAX: usize = 120;

/// Who looks at a page of the wizard.
pub(crate) struct Visitor {
    /// Their id; `None` for a guest.
    pub(crate) user: Option<String>,
    /// Signs in and comes back to the page.
    pub(crate) sign_in: String,
}

impl Visitor {
    pub(super) fn corner(&self) -> Markup {
        html! {
            @if self.user.is_some() { a.button href="/dashboard" { "Dashboard" } }
            @else { a.button href=(self.sign_in) { "Sign in" } }
        }
    }
}

/// Where in the wizard somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Tracks,
    Packages,
    Checkout,
    Payment,
}

impl Step {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Tracks, "Tracks"),
        (Self::Packages, "Packages"),
        (Self::Checkout, "Checkout"),
        (Self::Payment, "Payment"),
    ];

    /// Where somebody goes back to; a payment that was begun is not undone by going back.
    fn address(self, session: Option<&str>) -> Option<String> {
        let path = match self {
            Self::Tracks => "/add",
            Self::Packages => "/packages",
            Self::Checkout | Self::Payment => return None,
        };
        Some(session.map_or_else(|| path.to_owned(), |id| with_session(path, id)))
    }
}

/// A page of the wizard for one checkout.
pub(super) fn with_session(path: &str, id: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("sessionId", id).finish();
    format!("{path}?{query}")
}

/// The steps, with the one at hand marked for eyes and for screen readers.
pub(super) fn steps(current: Step, session: Option<&str>) -> Markup {
    html! {
        nav.steps aria-label="Steps of the order" {
            ol {
                @for (at, (step, name)) in Step::ALL.into_iter().enumerate() {
                    @let link = step.address(session).filter(|_| step < current && current < Step::Payment);
                    li.current[step == current].done[step < current] aria-current=[(step == current).then_some("step")] {
                        @match link {
                            Some(address) => a.spot href=(address) { (spot(at + 1, name)) },
                            None => span.spot { (spot(at + 1, name)) },
                        }
                        @if step < current { span.unseen { " (done)" } }
                    }
                }
            }
        }
    }
}

fn spot(number: usize, name: &str) -> Markup {
    html! { span.number aria-hidden="true" { (number) } span.name { (name) } }
}

/// What the script says aloud: politely, and never moving the focus.
pub(super) fn say() -> Markup {
    html! { p.say role="status" aria-live="polite" data-say {} }
}

/// Nothing of this works without the script; better said than found out.
pub(super) fn needs_script() -> Markup {
    html! { noscript { p.notice { "This form needs JavaScript, which is switched off in your browser." } } }
}

/// `/add`.
pub(crate) fn add(visitor: &Visitor, session: Option<&str>) -> Markup {
    scripted(
        "Your tracks",
        &visitor.corner(),
        &html! {
            div data-page="add" data-session=[session] data-user=[&visitor.user] data-tracks-max=(TRACKS_MAX) {
                (steps(Step::Tracks, session))
                section.card {
                    h1 { "Which tracks?" }
                    p.soft { "Add at least one. You choose a package for each of them in the next step." }
                    (needs_script())
                    form.wizard data-form {
                        ol.tracks data-tracks {}
                        template data-track { (track()) }
                        button type="button" data-more { "Add another track" }
                        (say())
                        div.actions { button.main type="submit" disabled { "Continue to packages" } }
                    }
                }
            }
        },
    )
}

/// One row of the form. The script numbers it and gives fields and labels their ids.
fn track() -> Markup {
    html! {
        li {
            fieldset {
                legend {}
                div.fields {
                    (field("title", "Title"))
                    (field("artist", "Artist"))
                    button.quiet type="button" data-remove { "Remove" }
                }
            }
        }
    }
}

fn field(name: &str, label: &str) -> Markup {
    html! {
        div.field {
            label { (label) }
            input name=(name) type="text" required maxlength=(NAME_CHARS_MAX) autocomplete="off";
        }
    }
}

/// `/packages`.
pub(crate) fn packages(visitor: &Visitor, catalogue: &Catalogue, session: Option<&str>) -> Markup {
    let back = session.map_or_else(|| "/add".to_owned(), |id| with_session("/add", id));
    scripted(
        "Packages",
        &visitor.corner(),
        &html! {
            div data-page="packages" data-session=[session] data-user=[&visitor.user] {
                (steps(Step::Packages, session))
                section.card {
                    h1 { "A package for each track" }
                    p.soft {
                        "The first track costs the full price"
                        @if catalogue.later_discount_percent > 0 {
                            ", every later one " (catalogue.later_discount_percent) " % less"
                        }
                        "."
                    }
                    (needs_script())
                    form.wizard data-form {
                        div data-tracks {}
                        template data-track { (choice(catalogue)) }
                        dl.total { div { dt { "Total" } dd aria-live="polite" data-total { "…" } } }
                        (say())
                        div.actions {
                            button.main type="submit" disabled { "Continue to checkout" }
                            a.button href=(back) { "Back to tracks" }
                        }
                    }
                }
            }
        },
    )
}

/// The packages for one track. Both prices are there; the script leaves the one that holds.
fn choice(catalogue: &Catalogue) -> Markup {
    html! {
        fieldset.packages {
            legend {}
            @for (id, package) in &catalogue.packages {
                @let (first, later) = priced_alone(catalogue, id);
                label.package {
                    input type="radio" value=(id) required;
                    span.about {
                        strong { (name_of(id, package)) }
                        @if let Some(text) = &package.description { span.soft.small { (text) } }
                    }
                    span.price data-first { (price_text(first, catalogue.currency)) }
                    span.price data-later { (price_text(later, catalogue.currency)) }
                }
            }
        }
    }
}

fn name_of<'p>(id: &'p str, package: &'p Package) -> &'p str {
    package.name.as_deref().unwrap_or(id)
}

/// What one package costs for the first track and for a later one.
pub(crate) fn priced_alone(catalogue: &Catalogue, id: &str) -> (Minor, Minor) {
    let cost = |ids: Value| catalogue.price(&ids).map_or(Minor::ZERO, |price| price.original);
    let first = cost(json!([id]));
    (first, cost(json!([id, id])).minus(first))
}

/// One item of a checkout, in words.
pub(crate) struct Line {
    pub(crate) title: String,
    pub(crate) artist: Option<String>,
    pub(crate) package: String,
    price: Minor,
}

/// What a checkout's JSON holds: tracks by index, and a package id for each. What is not of that shape is left out.
pub(crate) fn lines(data: &str, catalogue: &Catalogue) -> Vec<Line> {
    let Ok(data) = serde_json::from_str::<Value>(data) else { return Vec::new() };
    let mut chosen: Vec<(usize, &str)> = match &data["selectedPackages"] {
        Value::Array(list) => {
            list.iter().enumerate().filter_map(|(at, id)| Some((at, id.as_str()?))).collect()
        }
        Value::Object(map) => {
            map.iter().filter_map(|(at, id)| Some((at.parse().ok()?, id.as_str()?))).collect()
        }
        _ => Vec::new(),
    };
    chosen.sort_unstable();
    let line = |(order, (at, id)): (usize, (usize, &str))| {
        let track = &data["tracks"][at];
        let text = |name: &str| track[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (first, later) = priced_alone(catalogue, id);
        Line {
            title: text("title").unwrap_or_else(|| format!("Track {}", at + 1)),
            artist: text("artist"),
            package: catalogue.packages.get(id).map_or(id, |package| name_of(id, package)).to_owned(),
            price: if order == 0 { first } else { later },
        }
    };
    chosen.into_iter().enumerate().map(line).collect()
}

/// The items of a checkout with what each costs, where the catalogue still says what the snapshot said.
pub(super) fn list(lines: &[Line], price: Option<Price>) -> Markup {
    let sum = lines.iter().try_fold(Minor::ZERO, |sum, line| sum.plus(line.price));
    let known = price.filter(|price| Some(price.original) == sum);
    html! {
        ul.lines {
            @for line in lines {
                li {
                    span {
                        strong { (line.title) }
                        @if let Some(artist) = &line.artist { " " span.soft { "by " (artist) } }
                        span.soft.small.block { (line.package) }
                    }
                    @if let Some(price) = known { span.price { (price_text(line.price, price.currency)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        serde_json::from_value(json!({
            "currency": "UZS",
            "packages": { "basic": { "price": 1_000_000, "name": "Basic" }, "pro": { "price": 4_000_000 } },
        }))
        .unwrap()
    }

    #[test]
    fn a_checkout_reads_as_its_items() {
        let data = json!({
            "tracks": [{ "title": "Dawn", "artist": "Ada" }, {}, { "title": "Dusk" }],
            "selectedPackages": { "2": "basic", "0": "pro", "1": "gone" },
        });
        let lines = lines(&data.to_string(), &catalogue());
        let words: Vec<(&str, &str)> = lines.iter().map(|line| (&*line.title, &*line.package)).collect();
        assert_eq!(words, [("Dawn", "pro"), ("Track 2", "gone"), ("Dusk", "Basic")]);
        assert_eq!(priced_alone(&catalogue(), "basic").1, Minor::new(750_000).unwrap());
        assert!(super::lines("not json", &catalogue()).is_empty());
        assert!(super::lines("{\"selectedPackages\": 5}", &catalogue()).is_empty());
    }

    #[test]
    fn what_is_typed_stays_text_and_the_step_is_marked() {
        let data = json!({ "tracks": [{ "title": "<b>" }], "selectedPackages": ["basic"] }).to_string();
        let price = catalogue().price(&json!(["basic"])).ok();
        let html = list(&lines(&data, &catalogue()), price).into_string();
        assert!(html.contains("&lt;b&gt;") && html.contains("10,000 so'm"), "{html}");
        let html = steps(Step::Packages, Some("cs_\"1")).into_string();
        assert!(
            html.contains(
                "aria-current=\"step\"><span class=\"spot\"><span class=\"number\" aria-hidden=\"true\">2"
            ),
            "{html}"
        );
        assert!(html.contains("/add?sessionId=cs_%221") && !html.contains("href=\"/packages"), "{html}");
    }
}
