//! One route as it is described: who may call it, what it takes, and everything that it may answer.
//!
//! What every route answers, or every route of one kind of caller, is added here and nowhere else: no room, no time, a
//! session store that is away, another site's page, an unknown token.

use super::schema::{Said as _, Shape, both, filled, object, only, text, the, whole, word};
use std::collections::BTreeMap;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, HeaderBuilder, Ref, RefOr, Required, Response, ResponseBuilder};

pub(super) const JSON: &str = "application/json";
pub(super) const PROBLEM: &str = "application/problem+json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The components' names of those who may call.
pub(super) const SESSION: &str = "session";
pub(super) const GUEST: &str = "guest";
pub(super) const API_KEY: &str = "apiKey";
pub(super) const OPERATOR: &str = "operator";

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody; nobody's session is looked up.
    Anyone,
    /// Anybody, with the session that the cookie names.
    Visitor,
    /// Whoever is signed in.
    SignedIn,
    /// Whose it is: a browser by its cookies, a trusted backend, the operator.
    Owner,
    /// The operator and trusted backends.
    Staff,
    /// The operator and trusted backends, in the form that WhatsApp's programs know.
    Devices,
    /// The operator.
    Operator,
}

/// One answer.
#[derive(Default)]
struct Answer {
    what: Vec<String>,
    codes: Vec<&'static str>,
    contents: Vec<(&'static str, Option<Shape>)>,
    headers: Vec<(&'static str, &'static str, Shape)>,
}

/// One route.
pub(super) struct Route {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    id: &'static str,
    summary: &'static str,
    more: Option<&'static str>,
    who: Who,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Answer>,
}

impl Route {
    fn new(method: HttpMethod, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let (parameters, answers) = (Vec::new(), BTreeMap::new());
        Self { method, path, id, summary, more: None, who: Who::Anyone, parameters, body: None, answers }
            .naming_its_path()
    }

    pub(super) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Get, path, id, summary)
    }

    pub(super) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Post, path, id, summary)
    }

    pub(super) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Delete, path, id, summary)
    }

    /// What stands in braces in the path is a parameter.
    fn naming_its_path(mut self) -> Self {
        for name in self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(filled()));
            self.parameters.push(parameter.build());
        }
        self
    }

    /// More than the summary says.
    pub(super) fn more(self, sentences: &'static str) -> Self {
        Self { more: Some(sentences), ..self }
    }

    pub(super) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// A parameter of the query that may be left out.
    pub(super) fn query(self, name: &str, shape: impl Into<Shape>, what: &str) -> Self {
        self.parameter(ParameterIn::Query, name, Required::False, shape, what)
    }

    /// A header that may be left out.
    pub(super) fn header(self, name: &str, shape: impl Into<Shape>, what: &str) -> Self {
        self.parameter(ParameterIn::Header, name, Required::False, shape, what)
    }

    /// A header that has to be there.
    pub(super) fn needs_header(self, name: &str, shape: impl Into<Shape>, what: &str) -> Self {
        self.parameter(ParameterIn::Header, name, Required::True, shape, what)
    }

    fn parameter(
        mut self,
        place: ParameterIn,
        name: &str,
        required: Required,
        shape: impl Into<Shape>,
        what: &str,
    ) -> Self {
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        self.parameters.push(parameter.description(Some(what)).schema(Some(shape)).build());
        self
    }

    /// A body that has to be there.
    pub(super) fn takes(self, media: &'static str, shape: impl Into<Shape>) -> Self {
        self.body(media, shape, Required::True)
    }

    /// A body that may be left out.
    pub(super) fn may_take(self, media: &'static str, shape: impl Into<Shape>) -> Self {
        self.body(media, shape, Required::False)
    }

    fn body(self, media: &'static str, shape: impl Into<Shape>, required: Required) -> Self {
        let body = RequestBodyBuilder::new().required(Some(required));
        Self { body: Some(body.content(media, Content::new(Some(shape))).build()), ..self }
    }

    /// An answer with a body.
    pub(super) fn answers(
        mut self,
        status: u16,
        what: impl Into<String>,
        media: &'static str,
        shape: impl Into<Shape>,
    ) -> Self {
        let answer = self.answers.entry(status).or_default();
        answer.what.push(what.into());
        answer.contents.push((media, Some(shape.into())));
        self
    }

    /// An answer without a body.
    pub(super) fn answers_nothing(mut self, status: u16, what: &str) -> Self {
        self.answers.entry(status).or_default().what.push(what.to_owned());
        self
    }

    /// The browser is sent on.
    pub(super) fn leads(mut self, what: &str) -> Self {
        let answer = self.answers.entry(302).or_default();
        answer.what.push(what.to_owned());
        if answer.headers.is_empty() {
            answer.headers.push(("Location", "Where to.", text().into()));
        }
        self
    }

    /// A page.
    pub(super) fn shows(self, status: u16, what: &str) -> Self {
        self.answers(status, what, HTML, text())
    }

    /// Problems with these codes.
    pub(super) fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        let answer = self.answers.entry(status).or_default();
        for code in codes {
            if !answer.codes.contains(code) {
                answer.codes.push(code);
            }
        }
        self
    }

    /// What it answers because of who may call it.
    fn refusing_others(self) -> Self {
        let changes = self.method != HttpMethod::Get;
        let all = self.refuses(503, &["overloaded", "request_timeout"]);
        let all = if all.parameters.is_empty() { all } else { all.refuses(400, &["invalid_parameter"]) };
        let visitors = |route: Self| {
            let route = route.refuses(503, &["storage_unavailable", "entropy_unavailable"]);
            if changes { route.refuses(403, &["cross_site_request"]) } else { route }
        };
        match all.who {
            Who::Anyone => all,
            Who::Visitor | Who::Devices => visitors(all),
            Who::SignedIn => visitors(all).refuses(401, &["not_signed_in", "session_ended"]),
            Who::Owner => visitors(all).refuses(401, &["unknown_token"]),
            Who::Staff => visitors(all).refuses(401, &["unknown_token", "token_required"]),
            Who::Operator => all.refuses(401, &["not_the_operator"]),
        }
    }

    fn securities(&self) -> Vec<SecurityRequirement> {
        let of = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
        match self.who {
            Who::Anyone => vec![SecurityRequirement::default()],
            Who::Visitor => vec![SecurityRequirement::default(), of(SESSION)],
            Who::SignedIn => vec![of(SESSION)],
            Who::Owner => {
                vec![SecurityRequirement::default(), of(SESSION), of(GUEST), of(API_KEY), of(OPERATOR)]
            }
            Who::Staff | Who::Devices => vec![of(API_KEY), of(OPERATOR)],
            Who::Operator => vec![of(OPERATOR)],
        }
    }

    /// In the words of OpenAPI, under the heading of its kind.
    pub(super) fn operation(self, tag: &str) -> Operation {
        let route = self.refusing_others();
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(route.id))
            .summary(Some(route.summary))
            .description(route.more)
            .request_body(route.body.clone())
            .securities(Some(route.securities()));
        for parameter in route.parameters {
            operation = operation.parameter(parameter);
        }
        if !route.answers.contains_key(&405) {
            operation = operation.response("405", RefOr::Ref(Ref::from_response_name("MethodNotAllowed")));
        }
        for (status, answer) in route.answers {
            operation = operation.response(status.to_string(), answer.response(status));
        }
        operation.build()
    }
}

impl Answer {
    fn response(self, status: u16) -> Response {
        let mut what = self.what;
        if !self.codes.is_empty() {
            what.push(format!("A problem: `{}`.", self.codes.join("`, `")));
        }
        let mut response = ResponseBuilder::new().description(what.join(" "));
        for (media, shape) in self.contents {
            response = response.content(media, Content::new(shape));
        }
        if !self.codes.is_empty() {
            response = response.content(PROBLEM, Content::new(Some(problem(status, &self.codes))));
        }
        for (name, about, shape) in self.headers {
            response = response
                .header(name, HeaderBuilder::new().schema(Some(shape)).description(Some(about)).build());
        }
        if matches!(status, 429 | 503) {
            let after = HeaderBuilder::new().schema(Some(text())).description(Some("Seconds."));
            response = response.header("Retry-After", after.build());
        }
        response.build()
    }
}

/// A problem of one status with one of these codes.
pub(super) fn problem(status: u16, codes: &[&str]) -> Shape {
    let narrowed = object().with("code", word(codes)).with("status", only(status));
    RefOr::T(both(the("Problem"), narrowed))
}

/// What every problem is.
pub(super) fn any_problem() -> Shape {
    object()
        .with("type", text().about("The page that explains the code."))
        .with("title", text())
        .with("status", whole())
        .with("detail", text().about("What happened."))
        .with("code", text().about("Stable; programs act on it."))
        .with("remedy", text().about("What to do about it."))
        .with("request_id", text().about("The same as the header `x-request-id`; the server's log has it."))
        .into()
}
