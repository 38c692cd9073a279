//! The signed-in page: who, where else, and how to end that. Plain forms, so that it works without any script.

use super::{Purchases, agent, frame, moment};
use maud::{Markup, html};
use sessile::{SignedInDevice, Timestamp};
use sessile_core::user::User;

/// What the page shows.
pub(crate) struct Dashboard<'d> {
    pub(crate) user: Option<&'d User>,
    pub(crate) id: &'d str,
    pub(crate) whop_user_id: Option<String>,
    /// `None` while the list cannot be known.
    pub(crate) devices: Option<Vec<SignedInDevice>>,
    /// `None` where nothing is sold, or while that cannot be known.
    pub(crate) purchases: Option<Purchases>,
    pub(crate) degraded: bool,
    pub(crate) now: Timestamp,
}

pub(crate) fn dashboard(view: &Dashboard<'_>) -> Markup {
    let corner = html! {
        form method="post" action="/logout" { button type="submit" { "Sign out" } }
    };
    frame(
        "Dashboard",
        &corner,
        &html! {
            @if view.degraded {
                p.notice role="status" {
                    "The session database is away. You stay signed in; what happens now is kept here and handed over."
                }
            }
            (person(view))
            @if let Some(purchases) = &view.purchases { (purchases.section(view.now)) }
            (devices(view))
        },
    )
}

fn person(view: &Dashboard<'_>) -> Markup {
    let email = view.user.and_then(|user| user.email.as_deref());
    let name = email.unwrap_or("Signed in");
    let initial = name.chars().next().unwrap_or('?').to_uppercase().to_string();
    html! {
        section.card aria-label="Your account" {
            div.who {
                span.face aria-hidden="true" { (initial) }
                div {
                    h1 { (name) }
                    p.soft { "You are signed in." }
                }
            }
            dl.facts {
                div { dt { "User id" } dd { code { (view.id) } } }
                @if let Some(whop) = &view.whop_user_id {
                    div { dt { "Whop user" } dd { code { (whop) } } }
                }
                @if let Some(user) = view.user {
                    div { dt { "Member since" } dd { (moment::day(user.created_at)) } }
                }
            }
        }
    }
}

fn devices(view: &Dashboard<'_>) -> Markup {
    let devices = || view.devices.iter().flatten();
    let others = || devices().filter(|device| !device.this_device);
    html! {
        section.card aria-labelledby="devices" {
            div.head {
                h2 #devices { "Where you are signed in" }
                @if others().next().is_some() {
                    form method="post" action="/api/sessions/revoke-others" {
                        button.bad type="submit" { "Sign out everywhere else" }
                    }
                }
            }
            @match &view.devices {
                None => p.soft { "This list is back as soon as the session database is." },
                // The one at hand comes first, where people look for it.
                Some(_) => ul.devices {
                    @for device in devices().filter(|device| device.this_device).chain(others()) {
                        (row(device, view.now))
                    }
                },
            }
            @if view.devices.is_some() && others().next().is_none() {
                p.soft.alone { "You are signed in nowhere else." }
            }
        }
    }
}

fn row(device: &SignedInDevice, now: Timestamp) -> Markup {
    let name = agent::readable(device.agent.as_deref().unwrap_or_default());
    html! {
        li {
            div.device {
                strong { (name) }
                @if device.this_device { span.badge { "This device" } }
                p.soft.small.row {
                    span { "Last used " (moment(device.last_seen, now)) }
                    @if let Some(created) = device.created_at { " " span { "signed in " (moment(created, now)) } }
                    @if let Some(address) = &device.address { " " span { (address) } }
                }
            }
            @if !device.this_device {
                form method="post" action={ "/api/sessions/" (device.handle.as_str()) "/revoke" } {
                    button.bad type="submit" aria-label={ "Sign out " (name) } { "Sign out" }
                }
            }
        }
    }
}

fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at.to_iso8601()) title=(at.to_iso8601()) { (moment::ago(at, now)) } }
}
