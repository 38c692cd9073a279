//! `/docs/api`: the description of the API as a page. Everything is on it and open, so that a browser's own search finds
//! it; nothing runs on it.

use super::frame;
use maud::{Markup, PreEscaped, html};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{AllOf, Array, ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, RefOr, Required, Response, Schema};

/// Shapes inside of shapes that are written out where they stand; deeper ones have names.
const DEPTH_MAX: usize = 6;
const NAMED: &str = "#/components/schemas/";
const NAMED_ANSWER: &str = "#/components/responses/";

/// One operation, and where it is.
struct Entry<'a> {
    method: &'static str,
    path: &'a str,
    operation: &'a Operation,
}

/// The page.
pub(crate) fn description(of: &OpenApi) -> Markup {
    let entries = entries(of);
    let tags = of.tags.as_deref().unwrap_or_default();
    let content = html! {
        div.reference {
            h1 { (of.info.title) " API" }
            @for part in of.info.description.as_deref().unwrap_or_default().split("\n\n") { p.soft { (words(part)) } }
            p { "For programs: " a href="/openapi.json" { "/openapi.json" } ", OpenAPI 3.1, version " (of.info.version) "." }
            nav.card aria-label="Contents" {
                @for tag in tags {
                    h2 { a href={ "#" (anchor(&tag.name)) } { (tag.name) } }
                    ul.plain { @for entry in of_tag(&entries, &tag.name) {
                        li { a href={ "#" (entry.id()) } { (words(entry.summary())) } " " code.soft { (entry.method) " " (entry.path) } }
                    } }
                }
                h2 { a href="#shapes" { "Shapes" } }
            }
            @for tag in tags {
                section aria-labelledby=(anchor(&tag.name)) {
                    h2.heading id=(anchor(&tag.name)) { (tag.name) }
                    @if let Some(about) = &tag.description { p.soft { (words(about)) } }
                    @for entry in of_tag(&entries, &tag.name) { (described(entry)) }
                }
            }
            (shapes(of))
        }
    };
    frame("API", &html! {}, &content)
}

fn entries(of: &OpenApi) -> Vec<Entry<'_>> {
    of.paths.paths.iter().flat_map(|(path, item)| methods(path, item)).collect()
}

fn methods<'a>(path: &'a str, item: &'a PathItem) -> Vec<Entry<'a>> {
    [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some(Entry { method, path, operation: operation.as_ref()? }))
    .collect()
}

fn of_tag<'a, 'b>(entries: &'a [Entry<'b>], tag: &'a str) -> impl Iterator<Item = &'a Entry<'b>> {
    entries.iter().filter(move |entry| entry.operation.tags.iter().flatten().any(|name| name == tag))
}

impl Entry<'_> {
    fn id(&self) -> &str {
        self.operation.operation_id.as_deref().unwrap_or_default()
    }

    fn summary(&self) -> &str {
        self.operation.summary.as_deref().unwrap_or(self.path)
    }
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Text with `code` in it.
fn words(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn described(entry: &Entry<'_>) -> Markup {
    let operation = entry.operation;
    html! {
        article.card id=(entry.id()) {
            h3 { (words(entry.summary())) }
            p.route { span.badge { (entry.method) } " " code { (entry.path) } }
            @if let Some(more) = &operation.description { p { (words(more)) } }
            p.soft.small { (callers(operation)) }
            (parameters(operation))
            @if let Some(RefOr::T(body)) = &operation.request_body {
                h4 { "Body" @if !matches!(body.required, Some(Required::True)) { span.soft { ", may be left out" } } }
                @for (media, content) in &body.content { (carried(media, content)) }
            }
            h4 { "Answers" }
            dl.answers { @for (status, answer) in &operation.responses.responses { (answered(status, answer)) } }
        }
    }
}

/// Who may call, in words: by what a caller is known, and whether it has to be.
fn callers(operation: &Operation) -> String {
    let stated = serde_json::to_value(&operation.security).unwrap_or_default();
    let ways: Vec<&serde_json::Map<String, serde_json::Value>> =
        stated.as_array().into_iter().flatten().filter_map(serde_json::Value::as_object).collect();
    let known = [
        ("session", "the login session"),
        ("guest", "a guest's cookie"),
        ("apiKey", "an API key"),
        ("operator", "the operator's token"),
    ];
    let named = known.into_iter().filter(|(name, _)| ways.iter().any(|way| way.contains_key(*name)));
    let named = named.map(|(_, by)| by).collect::<Vec<_>>().join(", ");
    match (ways.iter().any(|way| way.is_empty()), named.is_empty()) {
        (_, true) => "Anybody.".to_owned(),
        (true, false) => format!("Anybody, known by {named}."),
        (false, false) => format!("Only with {named}."),
    }
}

fn parameters(operation: &Operation) -> Markup {
    let known: Vec<&Parameter> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .collect();
    html! {
        @if !known.is_empty() {
            h4 { "Parameters" }
            ul.shape { @for parameter in known {
                li {
                    code { (parameter.name) } " "
                    span.soft { (place(&parameter.parameter_in)) }
                    @if parameter.required == Required::True { span.soft { ", required" } }
                    @if let Some(shape) = &parameter.schema { ": " (kind(shape)) }
                    @if let Some(about) = &parameter.description { ". " (words(about)) }
                }
            } }
        }
    }
}

fn place(place: &ParameterIn) -> &'static str {
    match place {
        ParameterIn::Query => "in the query",
        ParameterIn::Path => "in the path",
        ParameterIn::Header => "header",
        _ => "cookie",
    }
}

fn answered(status: &str, answer: &RefOr<Response>) -> Markup {
    html! {
        dt { span.badge { (status) } }
        dd {
            @match answer {
                RefOr::Ref(named) => { a href={ "#answer-" (name_of(&named.ref_location)) } { "Method not allowed" } }
                RefOr::T(answer) => {
                    (words(&answer.description))
                    @for name in answer.headers.keys() { " Header " code { (name) } "." }
                    @for (media, content) in &answer.content {
                        @if media != "application/problem+json" { (carried(media, content)) }
                    }
                }
            }
        }
    }
}

fn name_of(place: &str) -> &str {
    place.trim_start_matches(NAMED).trim_start_matches(NAMED_ANSWER)
}

fn carried(media: &str, content: &RefOr<Content>) -> Markup {
    html! {
        @if let RefOr::T(content) = content {
            div.carried {
                code.soft.small { (media) }
                @if let Some(shape) = &content.schema { " " (kind(shape)) (fields(shape, 0)) }
            }
        }
    }
}

fn shapes(of: &OpenApi) -> Markup {
    html! {
        @if let Some(components) = &of.components {
            section aria-labelledby="shapes" {
                h2.heading #shapes { "Shapes" }
                @for (name, shape) in &components.schemas {
                    article.card id={ "shape-" (name) } { h3 { (name) } (fields(shape, 0)) }
                }
                @for (name, answer) in &components.responses {
                    article.card id={ "answer-" (name) } {
                        h3 { "405" }
                        @if let RefOr::T(answer) = answer { p { (words(&answer.description)) } }
                    }
                }
            }
        }
    }
}

/// What a value is, in a few words.
fn kind(shape: &RefOr<Schema>) -> Markup {
    match shape {
        RefOr::Ref(named) => {
            let name = name_of(&named.ref_location);
            html! { a href={ "#shape-" (name) } { (name) } }
        }
        RefOr::T(Schema::Array(Array { items: ArrayItems::RefOrSchema(of), .. })) => {
            html! { "list of " (kind(of)) }
        }
        RefOr::T(Schema::Array(_)) => html! { "list" },
        RefOr::T(Schema::Object(object)) => PreEscaped(plain(object)),
        RefOr::T(_) => html! { "object" },
    }
}

/// The type of a plain value, with its bounds.
fn plain(object: &Object) -> String {
    let of = |of: &Type| match of {
        Type::String => "text",
        Type::Integer => "whole number",
        Type::Number => "number",
        Type::Boolean => "true or false",
        Type::Array => "list",
        Type::Null => "null",
        Type::Object => "object",
    };
    let words: Option<Vec<String>> = object.enum_values.as_ref().map(|values| {
        values
            .iter()
            .map(|value| {
                html! { code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } }
                    .into_string()
            })
            .collect()
    });
    if let Some(words) = words {
        return words.join(" · ");
    }
    let mut text = match &object.schema_type {
        SchemaType::Type(one) => of(one).to_owned(),
        SchemaType::Array(several) => several.iter().map(of).collect::<Vec<_>>().join(" or "),
        SchemaType::AnyValue => "any value".to_owned(),
    };
    for (bound, of) in
        [("at least", json(object.minimum.as_ref())), ("at most", json(object.maximum.as_ref()))]
    {
        if let Some(of) = of {
            text.push_str(&format!(", {bound} {of}"));
        }
    }
    if let Some(most) = object.max_length {
        text.push_str(&format!(", at most {most} characters"));
    }
    text
}

fn json(number: Option<&impl serde::Serialize>) -> Option<String> {
    number.and_then(|number| serde_json::to_string(number).ok())
}

/// The fields of an object, those of a list's elements, or those of what it adds to another shape.
fn fields(shape: &RefOr<Schema>, depth: usize) -> Markup {
    let RefOr::T(shape) = shape else { return html! {} };
    if depth > DEPTH_MAX {
        return html! {};
    }
    match shape {
        Schema::Object(object) if !object.properties.is_empty() => html! {
            ul.shape { @for (name, field) in &object.properties {
                li {
                    code { (name) } @if !object.required.contains(name) { span.soft { " optional" } } ": " (kind(field))
                    @if let Some(about) = about(field) { ". " (words(about)) }
                    (fields(field, depth + 1))
                }
            } }
        },
        Schema::Object(_) => html! {},
        Schema::Array(Array { items: ArrayItems::RefOrSchema(of), .. }) => fields(of, depth + 1),
        Schema::AllOf(AllOf { items, .. }) => html! {
            @for item in items {
                @if let RefOr::Ref(_) = item { p { "All of " (kind(item)) ", and:" } }
                (fields(item, depth + 1))
            }
        },
        _ => html! {},
    }
}

fn about(shape: &RefOr<Schema>) -> Option<&str> {
    match shape {
        RefOr::T(Schema::Object(object)) => object.description.as_deref(),
        _ => None,
    }
}
