//! `GET /v1/admin/census`: how many of what there are.

use super::{away, money, ok};
use crate::app::App;
use crate::http::problem::Problem;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use sessile_core::ledger::{Census, Kind};

pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let census = money(&app)?.ledger.census(app.clock.now()).await.map_err(|error| away(&error))?;
    Ok(ok(view(&census)))
}

fn view(census: &Census) -> Value {
    let counts: Vec<Value> = census
        .counts
        .iter()
        .map(|(kind, status, count)| json!({ "kind": name_of(*kind), "status": status, "count": count }))
        .collect();
    json!({
        "counts": counts,
        "overduePayments": census.overdue_payments,
        "stalePayments": census.stale_payments,
        "paymentsWithoutEmail": census.without_email,
        "manualRefunds": census.manual_refunds,
        "effectsPending": census.effects_pending,
        "effectsDead": census.effects_dead,
    })
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Checkout => "checkout",
        Kind::Payment => "payment",
        Kind::Coupon => "coupon",
        Kind::Grant => "grant",
        Kind::Refund => "refund",
    }
}
