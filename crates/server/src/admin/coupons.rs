//! `/admin/coupons`: what there is and how it is used, a form that makes one, and a switch for each.

use super::counts::away;
use super::gate::see_other;
use super::kinds::{Absent, Deed, Form, segment};
use super::pages::{self, Here, Page, absent, ago, badge, cell, empty, number, reflow};
use super::sheet::{failed, new_key};
use crate::app::App;
use crate::http::v1::coupons::{DiscountType, Wanted, made, switched};
use crate::http::v1::list::{cursor_of, text_of};
use crate::http::{Problem, missing};
use crate::limits::LIST_ROWS;
use crate::pages::price_text;
use axum::extract::{Form as Body, Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use maud::{Markup, html};
use sessile::Timestamp;
use sessile_core::ledger::{Cursor, Kind, Page as Rows, PaymentFilter, Reads, Record};
use sessile_core::money::Currency;
use sessile_core::payment::{CODE_CHARS_MAX, Coupon, CouponId, Discount, Standing};

const COUPONS: &str = "/admin/coupons";

/// What the list's address says.
#[derive(serde::Deserialize)]
pub(super) struct Asked {
    cursor: Option<String>,
    done: Option<String>,
}

/// `GET /admin/coupons`.
pub(super) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Response {
    let listed = list(&app, asked.cursor.as_deref().and_then(cursor_of)).await;
    let key = new_key(&app).unwrap_or_default();
    let now = app.clock.now();
    let content = html! {
        div.headline { h1 { "Coupons" } }
        @match &listed {
            Err(why) => (absent(why)),
            Ok(page) => {
                section.panel aria-labelledby="all" {
                    h2 #all { "All coupons" }
                    div data-live="coupons" {
                        @if page.rows.is_empty() { (empty("There are none yet. Make the first one below.")) }
                        @else { (table(&page.rows, now)) }
                    }
                    @if let Some(next) = &page.next {
                        div.actions { a.button href={ (COUPONS) "?cursor=" (text_of(next)) } { "Older" } }
                    }
                }
                (form(&key))
            },
        }
    };
    let done = match asked.done.as_deref() {
        Some("made") => Some("The coupon was made."),
        Some("enable") => Some("The coupon can be used again."),
        Some("disable") => Some("The coupon can no longer be used."),
        _ => None,
    };
    Page { done, ..Page::new("Coupons", Here::Coupons) }.render(&content).into_response()
}

async fn list(app: &App, after: Option<Cursor>) -> Result<Rows<Record>, Absent> {
    let money = app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    let filter = PaymentFilter::default();
    let page = money.ledger.page(Kind::Coupon, &filter, after.as_ref(), LIST_ROWS).await;
    page.map_err(|error| away(&error))
}

fn discount(coupon: &Coupon) -> String {
    match coupon.discount {
        Discount::Percentage(percent) => format!("{percent} %"),
        Discount::Fixed(amount) => price_text(amount, Currency::UZS),
    }
}

const fn standing(coupon: &Coupon) -> &'static str {
    match coupon.standing {
        Standing::Active => "active",
        Standing::Inactive => "inactive",
    }
}

fn table(records: &[Record], now: Timestamp) -> Markup {
    let coupons = records.iter().filter_map(|record| match record {
        Record::Coupon(coupon) => Some(coupon),
        _ => None,
    });
    let rows: Vec<Markup> = coupons.map(|coupon| row(coupon, now)).collect();
    let heads = ["State", "Code", "Takes off", "Used", "Reserved", "Valid", "Made", ""];
    reflow("All coupons", &heads, &rows)
}

fn row(coupon: &Coupon, now: Timestamp) -> Markup {
    let (word, label) = match coupon.standing {
        Standing::Active => ("disable", "Switch off"),
        Standing::Inactive => ("enable", "Switch on"),
    };
    let count = |count: i64| number(count.unsigned_abs());
    let most = coupon.max_uses.map(|most| format!(" of {}", count(most))).unwrap_or_default();
    html! {
        (cell("State", &badge(standing(coupon))))
        (cell("Code", &html! {
            code { (coupon.code.as_str()) }
            @if let Some(text) = &coupon.description { span.soft.small.block { (text) } }
        }))
        (cell("Takes off", &html! { span.figure { (discount(coupon)) } }))
        (cell("Used", &html! { span.figure { (count(coupon.used)) (most) } }))
        (cell("Reserved", &html! { span.figure { (count(coupon.reserved)) } }))
        (cell("Valid", &validity(coupon, now)))
        (cell("Made", &ago(coupon.created_at, now)))
        (cell("", &html! {
            a.button.small href={ (COUPONS) "/" (segment(coupon.id.as_str())) "/" (word) }
                aria-label={ (label) " " (coupon.code.as_str()) } { (label) }
        }))
    }
}

fn validity(coupon: &Coupon, now: Timestamp) -> Markup {
    html! {
        @match (coupon.valid_from, coupon.valid_until) {
            (None, None) => "always",
            (Some(from), None) => { "from " (ago(from, now)) },
            (None, Some(until)) => { "until " (ago(until, now)) },
            (Some(from), Some(until)) => { (ago(from, now)) " to " (ago(until, now)) },
        }
    }
}

fn form(key: &str) -> Markup {
    html! {
        section.panel aria-labelledby="new" {
            h2 #new { "Make a coupon" }
            form.fields-form method="post" action=(COUPONS) {
                input type="hidden" name="key" value=(key);
                div.field {
                    label for="code" { "Code" }
                    input #code name="code" type="text" required maxlength=(CODE_CHARS_MAX) pattern="[A-Za-z0-9_\\-]+"
                        autocomplete="off" aria-describedby="code-hint";
                    p.soft.small #code-hint { "Letters, digits, - and _" }
                }
                div.field {
                    label for="kind" { "Kind" }
                    select #kind name="kind" {
                        option value="percentage" { "Percent" }
                        option value="fixed" { "Whole so'm" }
                    }
                }
                div.field {
                    label for="value" { "Takes off" }
                    input #value name="value" type="number" required min="1" step="1" inputmode="numeric";
                }
                div.field {
                    label for="uses" { "At most so many uses" }
                    input #uses name="uses" type="number" min="1" step="1" inputmode="numeric" aria-describedby="uses-hint";
                    p.soft.small #uses-hint { "Empty: without limit" }
                }
                div.field {
                    label for="until" { "Valid until" }
                    input #until name="until" type="date" aria-describedby="until-hint";
                    p.soft.small #until-hint { "The end of that day; empty: always" }
                }
                div.field.wide {
                    label for="description" { "Description" }
                    input #description name="description" type="text" maxlength="500";
                }
                div.actions.wide { button.main type="submit" { "Make the coupon" } }
            }
        }
    }
}

/// `POST /admin/coupons`.
pub(super) async fn create(State(app): State<App>, Body(fields): Body<Vec<(String, String)>>) -> Response {
    let form = Form::of(fields);
    let done = async {
        let key = form.get("key").ok_or_else(Problem::idempotency_key_missing)?;
        made(&app, wanted(&form)?, key).await
    };
    match done.await {
        Ok(_) => see_other("/admin/coupons?done=made"),
        Err(problem) => failed(&problem, COUPONS, Here::Coupons),
    }
}

/// What the form asks for, as `/v1/admin/coupons` would be asked.
fn wanted(form: &Form) -> Result<Wanted, Problem> {
    let whole = |name: &str, what: &str| match form.get(name) {
        None => Ok(None),
        Some(text) => text.parse::<i64>().map(Some).map_err(|_| Problem::invalid_body(what)),
    };
    let value = whole("value", "what a coupon takes off is a whole number")?;
    Ok(Wanted {
        code: form.get("code").unwrap_or_default().to_owned(),
        description: form.get("description").map(str::to_owned),
        discount_type: match form.get("kind") {
            Some("fixed") => DiscountType::Fixed,
            _ => DiscountType::Percentage,
        },
        discount_value: value.ok_or_else(|| Problem::invalid_body("say what the coupon takes off"))?,
        original_price: None,
        max_uses: whole("uses", "the most uses are a whole number")?,
        valid_from: None,
        valid_until: form.get("until").map(|day| format!("{day}T23:59:59.999Z")),
    })
}

/// What a switch's address says.
fn turned(word: &str) -> Option<(Standing, &'static str, &'static str)> {
    match word {
        "enable" => Some((
            Standing::Active,
            "Switch this coupon on",
            "Whoever knows the code can use it, within its limits.",
        )),
        "disable" => Some((
            Standing::Inactive,
            "Switch this coupon off",
            "Nobody can use it any more. Where it is reserved by an open checkout or payment, it stays reserved.",
        )),
        _ => None,
    }
}

/// `GET /admin/coupons/{id}/{switch}`: asks back.
pub(super) async fn ask(
    State(app): State<App>,
    Path((id, word)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let (Some((_, label, consequence)), Some(known)) = (turned(&word), CouponId::parse(&id)) else {
        return missing::route(headers).await;
    };
    let Ok(money) = &app.money.kinds else { return missing::route(headers).await };
    let reads = Reads { coupons: vec![known.clone()], ..Reads::none() };
    let Ok(books) = money.ledger.look(&reads).await else {
        return failed(&Problem::ledger_unavailable(), COUPONS, Here::Coupons);
    };
    let Some(coupon) = books.coupon(&known) else { return missing::route(headers).await };
    let deed = Deed { name: word.clone(), label, consequence: consequence.to_owned(), note: None };
    let action = format!("{COUPONS}/{}/{word}", segment(&id));
    let content = pages::asked_back(coupon.code.as_str(), &deed, &action, COUPONS, "");
    Page::new(label, Here::Coupons).render(&content).into_response()
}

/// `POST /admin/coupons/{id}/{switch}`.
pub(super) async fn switch(
    State(app): State<App>,
    Path((id, word)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some((standing, ..)) = turned(&word) else { return missing::route(headers).await };
    match switched(&app, &id, standing).await {
        Ok(_) => see_other(&format!("{COUPONS}?done={word}")),
        Err(problem) => failed(&problem, COUPONS, Here::Coupons),
    }
}
