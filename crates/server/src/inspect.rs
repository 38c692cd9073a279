//! `sessile inspect <id>`: one checkout, payment or paid job as it is and as it came to be. For support: no address, no
//! cart.

mod device;
mod generation;

use crate::audit::NO_LEDGER;
use crate::cli::InspectArgs;
use crate::config::Config;
use crate::exit::{Exit, Stop};
use crate::stores::{Stores, reason_of};
use serde_json::{Value, json};
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::{AuditRow, CheckoutKey, LedgerStore, PaymentKey, Reads, Record, RecordKey};
use sessile_core::payment::{OrderId, PaymentId, RefundId};
use sessile_core::{StoreError, SystemClock};
use std::sync::Arc;

/// Rows of a history that are shown.
const HISTORY_MAX: usize = 200;
/// Kept in the row, and nobody's business here.
const HIDDEN: [&str; 3] = ["guest", "request", "idempotency_key"];

/// Looks up and prints. [`Exit::Failed`] when there is no such row.
///
/// # Errors
/// [`Stop`] when the ledger cannot be read.
pub(crate) async fn run(config: &Config, args: &InspectArgs) -> Result<Exit, Stop> {
    let InspectArgs { id, json, retry } = args;
    let stores = Stores::open(config, Arc::new(SystemClock)).await?;
    let look = generation::Look { id, json: *json, retry: *retry };
    if let Some(exit) = generation::run(stores.generations.clone(), look).await? {
        return Ok(exit);
    }
    if *retry {
        println!(
            "--retry is for paid jobs (cs_… or gen_…); what payments owe the world is tried again by itself"
        );
        return Ok(Exit::Failed);
    }
    let ledger = stores.ledger.clone();
    if ledger.is_none()
        && let Some(exit) = device::run(config, id, *json).await?
    {
        return Ok(exit);
    }
    let ledger = ledger.ok_or_else(|| Stop::failed(NO_LEDGER))?;
    let failed =
        |error: StoreError| Stop::failed(format!("the ledger could not be read: {}", reason_of(&error)));
    let Some((record, history)) = find(&*ledger, id).await.map_err(failed)? else {
        // A device may have any name, so it is looked for last.
        if let Some(exit) = device::run(config, id, *json).await? {
            return Ok(exit);
        }
        println!("no payment, order, checkout, refund or WhatsApp device has this id");
        return Ok(Exit::Failed);
    };
    let facts = facts(&record);
    if *json {
        let timeline: Vec<Value> = history.iter().map(event).collect();
        println!("{}", json!({ "row": facts, "timeline": timeline }));
    } else {
        print!("{}", text(&facts, &history));
    }
    Ok(Exit::Done)
}

async fn find(ledger: &dyn LedgerStore, id: &str) -> Result<Option<(Record, Vec<AuditRow>)>, StoreError> {
    // Ids of an older application may have any shape: every kind is asked.
    let (payment, order) = (PaymentId::parse(id), OrderId::parse(id));
    let (checkout, refund) = (CheckoutId::parse(id), RefundId::parse(id));
    let mut reads = Reads::none();
    reads.payments.extend(payment.clone().map(PaymentKey::Id));
    reads.payments.extend(order.clone().map(PaymentKey::Order));
    reads.checkouts.extend(checkout.clone().map(CheckoutKey::Id));
    reads.refunds.extend(refund.clone());
    let books = ledger.look(&reads).await?;
    let by_order = order.and_then(|order| books.payment_by_order(&order)).map(|row| row.id.clone());
    let keys = [
        payment.map(RecordKey::Payment),
        by_order.map(RecordKey::Payment),
        checkout.map(RecordKey::Checkout),
        refund.map(RecordKey::Refund),
    ];
    let Some(record) = keys.iter().flatten().find_map(|key| books.record(key)) else { return Ok(None) };
    let about = match record {
        Record::Refund(refund) => RecordKey::Payment(refund.payment.clone()),
        other => other.key(),
    };
    let history = ledger.history(&about, HISTORY_MAX).await?;
    Ok(Some((record.clone(), history)))
}

/// The row as the audit keeps it, which holds neither address nor cart.
fn facts(record: &Record) -> Value {
    let mut facts = serde_json::to_value(record).unwrap_or_default();
    strip(&mut facts);
    facts
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !HIDDEN.contains(&name.as_str()));
            for (name, field) in fields.iter_mut() {
                let moment = field.as_i64().filter(|_| name == "at" || name.ends_with("_at"));
                match moment {
                    Some(ms) => *field = json!(sessile_core::Timestamp::from_unix_ms(ms).to_iso8601()),
                    None => strip(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn event(row: &AuditRow) -> Value {
    json!({ "seq": row.seq, "at": row.at.to_iso8601(), "event": row.event, "actor": row.actor })
}

fn text(facts: &Value, history: &[AuditRow]) -> String {
    let mut lines = vec![facts["kind"].as_str().unwrap_or("row").to_owned()];
    if let Some(row) = facts["row"].as_object() {
        for (name, value) in row.iter().filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("  {name:<16} {value}"));
        }
    }
    lines.push("timeline".to_owned());
    for row in history {
        lines.push(format!(
            "  {}  {:<32} by {}  (audit row {})",
            row.at.to_iso8601(),
            row.event,
            row.actor,
            row.seq
        ));
    }
    if history.len() == HISTORY_MAX {
        lines.push(format!("  … more than {HISTORY_MAX} changes"));
    }
    lines.join("\n") + "\n"
}
