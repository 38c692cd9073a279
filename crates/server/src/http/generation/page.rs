//! The pages of paid jobs: where a prompt is written, and where the videos appear. They only show; the routes beside
//! them do.

use crate::app::App;
use crate::http::headers::with_videos;
use crate::http::return_to::sign_in_for;
use crate::pages::{self, PromptView, VideosView, Visitor};
use crate::stores::reason_of;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{StatusCode, Uri};
use sessile::SignInSession;
use sessile_core::generation::GenerationKey;

fn visitor(app: &App, session: &SignInSession, uri: &Uri) -> Visitor {
    Visitor {
        user: session.user().map(|user| user.as_str().to_owned()),
        sign_in: sign_in_for(app.sign_in_path(), uri.path()),
    }
}

/// `GET /en/tool/veo3-prompt-generator`.
pub(crate) async fn prompt(State(app): State<App>, session: SignInSession, uri: Uri) -> Response {
    let prices = app.generation.stripe.as_ref().ok().map(|stripe| &stripe.prices);
    let price = prices.and_then(|prices| prices.single.as_deref().or(prices.triple.as_deref()));
    let price = price.filter(|_| app.generation.sells().is_ok());
    let Some(price) = price else {
        let page = pages::not_configured("Making videos", &app.generation.missing, false);
        return (StatusCode::NOT_IMPLEMENTED, page).into_response();
    };
    with_videos(pages::prompt(&visitor(&app, &session, &uri), &PromptView { price }))
}

/// `GET /en/payment-success/{id}`: for whoever knows the name of the payment.
pub(crate) async fn success(
    State(app): State<App>,
    session: SignInSession,
    uri: Uri,
    Path(id): Path<String>,
) -> Response {
    let Ok(jobs) = &app.generation.jobs else {
        let page = pages::not_configured("Making videos", &app.generation.missing, false);
        return (StatusCode::NOT_IMPLEMENTED, page).into_response();
    };
    let job = match GenerationKey::parse(&id) {
        Some(key) => match jobs.find(&key).await {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(
                    error = reason_of(&error),
                    "the store of generation sessions did not answer a page"
                );
                return (StatusCode::SERVICE_UNAVAILABLE, [(CACHE_CONTROL, "no-store")], pages::away())
                    .into_response();
            }
        },
        None => None,
    };
    with_videos(pages::videos(&visitor(&app, &session, &uri), &VideosView { id: &id, job: job.as_ref() }))
}

/// `GET /assets/generation.js`; its address changes with its content.
pub(crate) async fn script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, pages::GENERATION_SCRIPT)
}
