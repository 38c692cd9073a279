//! The API as it is described: OpenAPI 3.1 at `/openapi.json`, and the same as a page at `/docs/api`.
//!
//! Each kind of route is described in a module of its name. The handlers build their answers from rows and speak each
//! kind's own dialect of errors, so the shapes stand here rather than on types of the handlers
//! (docs/decisions/0023-described-beside-the-routes.md). A test holds the description against the router, both ways,
//! and schemathesis holds the answers against the description.

mod checkout;
mod generation;
mod health;
mod login;
mod pages;
mod payment;
mod route;
mod schema;
mod v1;
mod whatsapp;

use crate::app::App;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use route::{API_KEY, GUEST, OPERATOR, Route, SESSION};
use schema::Shape;
use std::sync::LazyLock;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    Response, ResponseBuilder,
};

const ABOUT: &str = "Sessions that stay put: login, checkout, payment, generation and WhatsApp.\n\n\
    What holds everywhere: every answer carries `x-request-id`. A path that is not served is 404 `route_not_found`, \
    another method 405. A body of more than 1 MiB is 413 unless a route says otherwise, a head of more than 64 KiB \
    431, with no body. 503 says that nothing is known to have happened, and in `Retry-After` when to ask again; \
    repeating is safe. Refusals are problems (RFC 9457) with a `code` and a `remedy`, or what existing clients of a \
    route already read.";

/// A kind of route: its heading, what is said of it, its routes, and the shapes that they name.
struct Kind {
    tag: (&'static str, &'static str),
    routes: Vec<Route>,
    shapes: Vec<(&'static str, Shape)>,
}

fn kinds() -> [Kind; 8] {
    let kind = |tag, routes, shapes| Kind { tag, routes, shapes };
    [
        kind(login::TAG, login::routes(), login::shapes()),
        kind(checkout::TAG, checkout::routes(), checkout::shapes()),
        kind(payment::TAG, payment::routes(), payment::shapes()),
        kind(generation::TAG, generation::routes(), generation::shapes()),
        kind(whatsapp::TAG, whatsapp::routes(), whatsapp::shapes()),
        kind(v1::TAG, v1::routes(), v1::shapes()),
        kind(health::TAG, health::routes(), health::shapes()),
        kind(pages::TAG, pages::routes(), Vec::new()),
    ]
}

/// The whole description; the same for every server.
pub(crate) static DESCRIPTION: LazyLock<OpenApi> = LazyLock::new(describe);
static JSON_TEXT: LazyLock<String> =
    LazyLock::new(|| DESCRIPTION.to_json().unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));

fn describe() -> OpenApi {
    let (mut paths, mut tags, mut components) = (Paths::new(), Vec::<Tag>::new(), components());
    for Kind { tag: (name, about), routes, shapes } in kinds() {
        tags.push(TagBuilder::new().name(name).description(Some(about)).build());
        for (shape, of) in shapes {
            components.schemas.insert(shape.to_owned(), of);
        }
        for route in routes {
            let (path, method) = (route.path.to_owned(), route.method.clone());
            let item = PathItem::new(method, route.operation(name));
            match paths.paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => drop(paths.paths.insert(path, item)),
            }
        }
    }
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build();
    let info = InfoBuilder::new()
        .title("Sessile")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).tags(Some(tags)).build()
}

fn components() -> Components {
    let bearer = |about: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(about.to_owned());
        SecurityScheme::Http(scheme)
    };
    let cookie = |name: &str, about: &str| {
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, about)))
    };
    ComponentsBuilder::new()
        .schema("Problem", route::any_problem())
        .response("MethodNotAllowed", method_not_allowed())
        .security_scheme(SESSION, cookie("sid", "The login session; its name is SESSILE_COOKIE_NAME's."))
        .security_scheme(GUEST, cookie(super::caller::GUEST_COOKIE, "A guest who owns a checkout or a job."))
        .security_scheme(API_KEY, bearer("A trusted backend: a key of SESSILE_API_KEYS."))
        .security_scheme(OPERATOR, bearer("The operator: the token of SESSILE_ADMIN_TOKEN."))
        .build()
}

fn method_not_allowed() -> Response {
    let problem = route::problem(405, &["method_not_allowed"]);
    ResponseBuilder::new()
        .description("For any method that is not described for this path; `Allow` names those that are.")
        .content(route::PROBLEM, ContentBuilder::new().schema(Some(problem)).build())
        .build()
}

/// `GET /openapi.json`, `GET /docs/api`.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/openapi.json", get(json)).route("/docs/api", get(page))
}

async fn json() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, JSON_TEXT.as_str())
}

async fn page() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache")], crate::pages::description(&DESCRIPTION))
}
