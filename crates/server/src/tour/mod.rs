//! The tour that `sessile dev` gives at `/`: the five flows with their stand-ins, what is stored as it changes, and
//! buttons that take something away from this server, so that a person sees nothing get lost.
//!
//! It exists in development alone, for whoever sits at this machine, and its buttons work from its own page alone. It
//! decides nothing and stores nothing: what it shows is what the stores hold.

mod acts;
mod diary;
mod line;

pub(crate) use acts::{Act, DATABASE_AWAY, WORKERS_AWAY};
pub(crate) use diary::{Entry, Sort};
pub(crate) use line::Line;

use crate::admin::{StoredRow, stored};
use crate::app::App;
use crate::http::headers::scripted;
use crate::http::{is_from_here, missing, wants_page, wizard};
use crate::pages::{self, TOUR_SCRIPT, TourView};
use crate::worker::Crew;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use diary::Diary;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use sessile::{Lost, Session, SignInSession};
use sessile_sandbox::click::ClickControl;
use sessile_sandbox::stripe::StripeControl;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Rows that the page shows.
const ROWS_SHOWN: usize = 10;
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The stand-ins that can be made to misbehave; `None` where the real provider is configured.
#[derive(Default)]
pub(crate) struct Providers {
    pub(crate) click: Option<ClickControl>,
    pub(crate) stripe: Option<StripeControl>,
}

/// What the tour has hold of.
pub(crate) struct Tour {
    line: Arc<Line>,
    providers: Providers,
    /// The file that holds the operator's token, where it was made here.
    token_at: Option<String>,
    crew: OnceLock<Arc<Crew>>,
    diary: Diary,
    /// What was stored when the stores answered last.
    seen: Mutex<Vec<StoredRow>>,
}

impl std::fmt::Debug for Tour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tour").field("line", &self.line).finish_non_exhaustive()
    }
}

impl Tour {
    pub(crate) fn new(providers: Providers, token_at: Option<String>) -> Self {
        Self {
            line: Arc::default(),
            providers,
            token_at,
            crew: OnceLock::new(),
            diary: Diary::default(),
            seen: Mutex::default(),
        }
    }

    /// What stands between the stores and their engines.
    pub(crate) const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// These are the workers that it may send away.
    pub(crate) fn watch_over(&self, crew: Arc<Crew>) {
        // There is one server in a process, and it says so once.
        let _ = self.crew.set(crew);
    }

    fn crew(&self) -> Option<Arc<Crew>> {
        self.crew.get().cloned()
    }

    fn tell(&self, app: &App, sort: Sort, text: impl Into<String>) {
        let text = text.into();
        tracing::info!(text, "tour");
        self.diary.write(Entry { at: app.clock.now(), sort, text });
    }

    /// What is stored; while nothing answers, what was stored last.
    async fn rows(&self, app: &App, session: &Session) -> Vec<StoredRow> {
        let fresh = match self.line.cut_for() {
            None => stored(app, session.user().as_ref()).await,
            Some(_) => None,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut rows) = fresh {
            rows.truncate(ROWS_SHOWN);
            *seen = rows;
        }
        seen.clone()
    }
}

/// The page and its buttons; nothing where there is no tour.
pub(crate) fn routes(app: &App) -> Router<App> {
    if app.tour.is_none() || !app.is_development() {
        return Router::new();
    }
    Router::new().route("/tour", get(show)).route("/tour/{act}", post(act))
}

/// Its script, which needs no session.
pub(crate) fn assets(app: &App) -> Router<App> {
    if app.tour.is_none() || !app.is_development() {
        return Router::new();
    }
    Router::new().route("/assets/tour.js", get(script))
}

/// The tour, for whoever sits at this machine.
pub(crate) fn offered(app: &App, parts: &Parts) -> Option<Arc<Tour>> {
    app.tour.clone().filter(|_| app.is_development() && is_from_here(parts))
}

/// Whether a browser says that the tour's own page sent this. Nothing else may press a button, programs neither.
fn is_its_own(parts: &Parts) -> bool {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    match (header(SEC_FETCH_SITE), header(ORIGIN), header(HOST)) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.strip_prefix("http://") == Some(host),
        _ => false,
    }
}

/// `GET /tour`: the page, for its script to take what is new from; it is no visit.
async fn show(State(app): State<App>, parts: Parts, SignInSession(session): SignInSession) -> Response {
    match offered(&app, &parts) {
        Some(tour) => page(&app, &tour, &session).await,
        None => missing::route(parts.headers).await,
    }
}

/// The page.
pub(crate) async fn page(app: &App, tour: &Tour, session: &Session) -> Response {
    let spooled = app.fallback.as_ref().and_then(|fallback| fallback.spooled().ok());
    let view = TourView {
        signed_in: session.user().is_some(),
        session_away: session.why_lost() == Some(Lost::StoreDown),
        sign_in: app.sign_in_path(),
        sells: wizard::parts(app).is_some(),
        videos: app.generation.sells().is_ok(),
        stand_ins: &app.stand_ins,
        token_at: tour.token_at.as_deref(),
        rows: tour.rows(app, session).await,
        cut_for: tour.line.cut_for(),
        spooled: spooled.map_or(0, |spooled| spooled.sessions + spooled.ends),
        workers_away: !tour.crew().is_some_and(|crew| crew.is_at_work()),
        can_lose_replies: tour.providers.click.is_some(),
        can_repeat: tour.providers.click.is_some() || tour.providers.stripe.is_some(),
        diary: tour.diary.entries(),
        now: app.clock.now(),
    };
    scripted(pages::tour(&view))
}

/// `POST /tour/{act}`: a button.
async fn act(State(app): State<App>, Path(name): Path<String>, parts: Parts) -> Response {
    let (Some(tour), Some(act)) = (offered(&app, &parts), Act::of(&name)) else {
        return missing::route(parts.headers).await;
    };
    if !is_its_own(&parts) {
        return (StatusCode::FORBIDDEN, "The tour's buttons work on its own page only.").into_response();
    }
    act.perform(&app, &tour).await;
    if wants_page(&parts.headers) {
        return Redirect::to("/#break").into_response();
    }
    StatusCode::NO_CONTENT.into_response()
}

/// `GET /assets/tour.js`; its address changes with its content.
async fn script() -> impl IntoResponse {
    let kept = "public, max-age=31536000, immutable";
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, kept)], TOUR_SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn pressed(headers: &[(&str, &str)]) -> bool {
        let request = Request::post("/tour/kill-workers").header("host", "localhost:3000");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        is_its_own(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_its_own_page_presses_a_button() {
        assert!(pressed(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:3000")]));
        assert!(pressed(&[("origin", "http://localhost:3000")]), "a browser of old");
        for site in ["cross-site", "same-site", "none"] {
            assert!(!pressed(&[("sec-fetch-site", site), ("origin", "http://localhost:3000")]), "{site}");
        }
        for origin in ["http://localhost:3001", "https://localhost:3000", "null", "http://elsewhere.example"]
        {
            assert!(!pressed(&[("origin", origin)]), "{origin}");
        }
        assert!(!pressed(&[]), "a program");
    }
}
