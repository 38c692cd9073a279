//! `POST /api/create-checkout`: a prompt becomes a payment page.
//!
//! The order is what keeps a paid prompt: the record is stored first, under our own name; that name goes to Stripe as
//! `client_reference_id` and as the Idempotency-Key; then the record is bound to Stripe's name. Who is in between when
//! the process dies has not been sent to pay. Stripe is told nothing of the prompt.

use super::{PROMPT_PATH, Refused, SUCCESS_PATH, jobs, ok, refused, stripe};
use crate::app::App;
use crate::generation::Stripe;
use crate::http::caller::{Buyer, named_user};
use crate::http::input::{BadInput, Fields, Input};
use crate::limits::{CREATE_CHECKOUT_TIMEOUT, RETURN_URL_CHARS_MAX, TOOL_CHARS_MAX};
use crate::stores::reason_of;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::checkout::{Caller, Owner};
use sessile_core::generation::{
    Generation, GenerationId, Generations, NewGeneration, PROMPT_BYTES_MAX, StripeSessionId, VIDEOS_MAX,
};
use sessile_providers::stripe::{CheckoutSession, IdempotencyKey, NewSession, StripeError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use url::Url;

/// What Stripe's metadata calls us, as in the older application.
const TOOL: &str = "veo3-generator";
/// Between the tries to bind a record to Stripe's name.
const BIND_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1000)];

/// A request that can be carried out, but for its price.
struct Wanted {
    new: NewGeneration,
    success_url: String,
    cancel_url: String,
}

/// A payment page that somebody may be sent to.
struct Page {
    own: GenerationId,
    id: StripeSessionId,
    url: String,
}

/// Before a body is read: so many at once, and no more.
pub(super) async fn room(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.generation.creating.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => Refused::Full.into_response(),
    }
}

pub(super) async fn create(
    State(app): State<App>,
    buyer: Buyer,
    Input(body): Input,
) -> Result<Response, Refused> {
    app.generation.sells().map_err(Refused::Missing)?;
    let wanted = wanted(&app, &buyer.caller, body)?;
    let (told, answer) = oneshot::channel();
    // A caller that hangs up, or waits too long, does not stop it half-way.
    tokio::spawn(carry_out(app, wanted, told));
    let opened = tokio::time::timeout(CREATE_CHECKOUT_TIMEOUT, answer).await;
    let page = opened.map_err(|_| failed("it took too long"))?.map_err(|_| failed("it was given up"))??;
    Ok(buyer.answer(ok(json!({ "sessionId": page.id.as_str(), "url": page.url }))))
}

/// Opens a page and tells the caller; one that nobody waits for any more is closed.
async fn carry_out(app: App, wanted: Wanted, told: oneshot::Sender<Result<Page, Refused>>) {
    let (jobs, stripe) = match (jobs(&app), stripe(&app)) {
        (Ok(jobs), Ok(stripe)) => (jobs, stripe),
        (Err(refused), _) | (_, Err(refused)) => return drop(told.send(Err(refused))),
    };
    if let Err(Ok(page)) = told.send(open(jobs, stripe, wanted).await) {
        expire(stripe, &page.own, &page.id).await;
    }
}

fn bad(error: impl Into<Cow<'static, str>>) -> Refused {
    refused(StatusCode::BAD_REQUEST, error)
}

fn failed(why: &str) -> Refused {
    tracing::error!(why, "a checkout could not be created");
    refused(StatusCode::INTERNAL_SERVER_ERROR, "Failed to create checkout session")
}

fn too_large() -> Refused {
    let sentence = format!(
        "The prompt is larger than {PROMPT_BYTES_MAX} bytes (1 MiB). Nothing was charged: shorten it and try again."
    );
    refused(StatusCode::PAYLOAD_TOO_LARGE, sentence)
}

fn wanted(app: &App, caller: &Caller, body: Result<Fields, BadInput>) -> Result<Wanted, Refused> {
    let mut body = body.map_err(|bad| match bad {
        BadInput::TooLarge => too_large(),
        other => refused(other.status(), other.to_string()),
    })?;
    let price_id = body.text("priceId").ok_or_else(|| bad("Price ID is required"))?;
    let video_count = quantity(&body.take("quantity"))?;
    // Not trimmed, not cut: what was written is what is made.
    let prompt = body.text("prompt").filter(|prompt| !prompt.trim().is_empty());
    let prompt = prompt.ok_or_else(|| bad("Prompt is required"))?;
    if prompt.len() > PROMPT_BYTES_MAX {
        return Err(too_large());
    }
    let mut tool = |name: &str| {
        let text = body.text(name);
        let long = text.as_ref().is_some_and(|text| text.chars().count() > TOOL_CHARS_MAX);
        if long { Err(bad(format!("{name} has at most {TOOL_CHARS_MAX} characters"))) } else { Ok(text) }
    };
    let (tool_slug, tool_title) = (tool("toolSlug")?, tool("toolTitle")?);
    let named = named_user(caller, &body.take("userId")).map_err(|_| bad("That user is not you"))?;
    let owner = match caller {
        Caller::Browser(owner) => owner.clone(),
        Caller::Backend(_) | Caller::Operator => named.map(Owner::user).unwrap_or_default(),
    };
    let home = app.generation.home.as_deref().map_err(|missing| Refused::Missing(missing.clone()))?;
    let mut page = |name: &str, usual: String| match body.text(name) {
        None => Ok(usual),
        Some(url) if may_return_to(&url, &app.generation.return_origins) => Ok(url),
        Some(_) => Err(bad(format!("{name} has to be a full address of a page of this application"))),
    };
    Ok(Wanted {
        success_url: page("successUrl", format!("{home}{SUCCESS_PATH}{{CHECKOUT_SESSION_ID}}"))?,
        cancel_url: page("cancelUrl", format!("{home}{PROMPT_PATH}"))?,
        new: NewGeneration { prompt, video_count, tool_slug, tool_title, price_id, owner },
    })
}

fn quantity(value: &Value) -> Result<u32, Refused> {
    if value.is_null() {
        return Ok(1);
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=VIDEOS_MAX).contains(number));
    number.ok_or_else(|| bad(format!("Quantity has to be a whole number from 1 to {VIDEOS_MAX}")))
}

/// Whether buyers may be sent there. Compared by origin; what browsers read in two ways is refused.
fn may_return_to(text: &str, origins: &[String]) -> bool {
    let plain = text.len() <= RETURN_URL_CHARS_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains('\\');
    let Some(url) = Url::parse(text).ok().filter(|_| plain) else { return false };
    let bare = url.username().is_empty() && url.password().is_none();
    bare && origins.contains(&url.origin().ascii_serialization())
}

async fn open(jobs: &Generations, stripe: &Stripe, wanted: Wanted) -> Result<Page, Refused> {
    let Wanted { new, success_url, cancel_url } = wanted;
    check_price(stripe, &new.price_id).await?;
    // The price was checked, the prompt is on disk: only now may money move.
    let job = jobs.create(new).await.map_err(|error| failed(&reason_of(&error)))?;
    let own = &job.own().id;
    let session = ask(stripe, &job, success_url, cancel_url).await.map_err(|error| failed(&error))?;
    let (Some(id), Some(url)) = (StripeSessionId::of_stripe(&session.id), session.url) else {
        return Err(failed("Stripe's answer has no usable id, or no address to pay at"));
    };
    if let Err(why) = bind(jobs, own, &id).await {
        expire(stripe, own, &id).await;
        return Err(failed(&why));
    }
    tracing::info!(
        job = own.fingerprint(),
        session = id.fingerprint(),
        videos = job.video_count,
        "checkout created"
    );
    Ok(Page { own: own.clone(), id, url })
}

/// A price is ours by configuration, or one that the account sells once.
async fn check_price(stripe: &Stripe, id: &str) -> Result<(), Refused> {
    if stripe.prices.contains(id) {
        return Ok(());
    }
    match stripe.client.price(id).await {
        Ok(Some(price)) if price.active && !price.recurring => Ok(()),
        Ok(_) => Err(bad("Unknown price")),
        Err(error) => Err(failed(&error.to_string())),
    }
}

async fn ask(
    stripe: &Stripe,
    job: &Generation,
    success_url: String,
    cancel_url: String,
) -> Result<CheckoutSession, String> {
    let own = &job.own().id;
    let key = IdempotencyKey::new(own.as_str()).map_err(|error| error.to_string())?;
    let metadata = [("video_count", job.video_count.to_string()), ("tool", TOOL.to_owned())];
    let session = NewSession {
        price: job.own().price_id.clone().unwrap_or_default(),
        quantity: job.video_count,
        success_url,
        cancel_url,
        client_reference_id: own.as_str().to_owned(),
        metadata: metadata
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        expires_at_s: None,
    };
    stripe.client.create_session(&session, &key).await.map_err(|error| error.to_string())
}

/// Again and again: binding twice is binding once.
async fn bind(jobs: &Generations, own: &GenerationId, id: &StripeSessionId) -> Result<(), String> {
    let mut pauses = BIND_PAUSES.into_iter();
    loop {
        let error = match jobs.bind(own, id).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let Some(pause) = pauses.next() else {
            return Err(format!("the record could not be bound to Stripe's name: {}", reason_of(&error)));
        };
        tokio::time::sleep(pause).await;
    }
}

/// Nobody was sent there. Should it be paid all the same, its event finds the record by `client_reference_id`.
async fn expire(stripe: &Stripe, own: &GenerationId, id: &StripeSessionId) {
    let Ok(key) = IdempotencyKey::new(format!("{}-expire", own.as_str())) else { return };
    match stripe.client.expire_session(id.as_str(), &key).await {
        Ok(_) => {
            tracing::warn!(session = id.fingerprint(), "a payment page was closed: nobody was sent there")
        }
        Err(error @ StripeError::Refused(_)) => {
            tracing::error!(%error, session = id.fingerprint(), "a payment page could not be closed; look it up at Stripe");
        }
        Err(error) => {
            tracing::error!(%error, session = id.fingerprint(), "a payment page could not be closed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buyers_come_back_to_our_pages_only() {
        let origins = ["https://app.example".to_owned(), "http://localhost:3001".to_owned()];
        let may = |url: &str| may_return_to(url, &origins);
        for good in [
            "https://app.example/en/payment-success/{CHECKOUT_SESSION_ID}",
            "https://app.example:443/x?y=1#z",
            "HTTPS://APP.EXAMPLE/",
            "http://localhost:3001/",
        ] {
            assert!(may(good), "{good}");
        }
        for bad in [
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "https://evil.example\\@app.example/",
            "https://user:secret@app.example/",
            "https://app.example:8443/",
            "//app.example/",
            "/en/x",
            "javascript:alert(1)",
            " https://app.example/",
            "https://app.exam\nple/",
            &format!("https://app.example/{}", "x".repeat(RETURN_URL_CHARS_MAX)),
        ] {
            assert!(!may(bad), "{bad}");
        }
    }

    #[test]
    fn a_quantity_is_a_whole_number_from_1_to_10() {
        assert_eq!(quantity(&json!(null)).unwrap(), 1);
        assert_eq!(quantity(&json!(10)).unwrap(), 10);
        for wrong in [json!(0), json!(11), json!(1.5), json!(-1), json!("3"), json!([3]), json!(true)] {
            assert!(quantity(&wrong).is_err(), "{wrong}");
        }
    }
}
