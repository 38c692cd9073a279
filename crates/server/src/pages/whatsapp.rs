//! The page of one WhatsApp device: pair it, see how it is, send a message. The script `whatsapp.js` asks the routes and
//! shows what they say; without it there is nothing to show.

use super::wizard::{needs_script, say};
use super::{WHATSAPP_SCRIPT, address_of, document};
use maud::{Markup, html};
use sessile_core::whatsapp::DeviceId;
use std::sync::LazyLock;

static SCRIPT_ADDRESS: LazyLock<String> =
    LazyLock::new(|| address_of("/assets/whatsapp.js", WHATSAPP_SCRIPT));

/// `/whatsapp`, for a device that may be another one by `?clientId=`.
pub(crate) fn whatsapp(device: &DeviceId) -> Markup {
    let content = html! {
        div data-page="whatsapp" data-device=(device) {
            section.card aria-labelledby="outcome" {
                div.outcome.pending data-outcome {
                    span.sign aria-hidden="true" {}
                    h1 #outcome data-heading { "WhatsApp" }
                }
                p data-sentence { "Asking how the device is…" }
                p.unseen role="status" aria-live="polite" data-aloud {}
                (needs_script())
                p.soft.small { "Device " code data-name { (device) } }
                div.actions data-doing hidden {
                    button type="button" data-do="reconnect" { "Reconnect" }
                    button type="button" data-do="disconnect" { "Disconnect" }
                    button.bad type="button" data-do="logout" { "Log out" }
                }
            }
            (key())
            (pairing())
            (message())
            (say())
        }
    };
    document("WhatsApp", &html! {}, &content, Some(&SCRIPT_ADDRESS))
}

/// For servers that let only trusted callers in.
fn key() -> Markup {
    html! {
        section.card data-key hidden {
            h2 { "Who are you?" }
            p.soft { "This server lets only its operator and its backends use devices. The key stays in this tab." }
            form.together data-key-form {
                label.unseen for="key" { "API key, or the operator's token" }
                input #key type="password" autocomplete="off" required placeholder="API key, or the operator's token";
                button.main type="submit" { "Continue" }
            }
        }
    }
}

fn pairing() -> Markup {
    html! {
        section.card.pairing data-pairing hidden {
            div {
                h2 { "Pair a phone" }
                ol.plain {
                    li { "Open WhatsApp on the phone." }
                    li { "Settings, then " strong { "Linked devices" } "." }
                    li { strong { "Link a device" } ", and point the camera here." }
                }
                form data-code-form {
                    label for="own" { "Or by the phone's own number" }
                    div.together {
                        input #own type="tel" autocomplete="tel" inputmode="tel" required placeholder="+1 555 123 4567";
                        button type="submit" { "Get a code" }
                    }
                    p.code data-code role="status" aria-live="polite" hidden {}
                }
            }
            figure {
                img.qr data-qr alt="QR code that WhatsApp on a phone scans to link this device" width="264" height="264";
                figcaption.soft.small data-left { "A new code comes by itself." }
            }
        }
    }
}

fn message() -> Markup {
    html! {
        section.card data-sending hidden {
            h2 { "Send a message" }
            form.prompt data-send-form {
                label for="number" { "To" }
                input #number type="tel" autocomplete="off" inputmode="tel" required placeholder="+1 555 123 4567";
                label for="message" { "Message" }
                textarea #message rows="3" required maxlength="4096" dir="auto" {}
                div.actions { button.main type="submit" { "Send" } }
            }
            ul.lines data-sent aria-label="Sent messages" {}
        }
    }
}
