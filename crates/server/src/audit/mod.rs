//! `sessile audit verify`: the audit against itself, and every row of the ledger against the audit.
//!
//! Reads only, in batches, and may run beside a working server: rows that change meanwhile are read again. It holds one
//! small record for every row of the ledger in memory. Its last line names the head, to be written down elsewhere: whoever
//! rewrites the whole log cannot rewrite that.

mod examine;

pub use examine::{Failure, Report, examine};

use crate::config::Config;
use crate::exit::{Exit, Stop};
use crate::stores::{Stores, reason_of};
use serde_json::json;
use sessile_core::SystemClock;
use std::sync::Arc;

/// What is missing for an audit.
pub(crate) const NO_LEDGER: &str =
    "nothing is audited here: checkouts and payments need DATABASE_URL to be sqlite: or postgresql://";

/// Verifies and prints. [`Exit::Failed`] when something is broken.
///
/// # Errors
/// [`Stop`] when the ledger cannot be read.
pub(crate) async fn run(config: &Config, json: bool) -> Result<Exit, Stop> {
    let stores = Stores::open(config, Arc::new(SystemClock)).await?;
    let ledger = stores.ledger.clone().ok_or_else(|| Stop::failed(NO_LEDGER))?;
    match examine(&*ledger).await {
        Ok(report) => {
            println!("{}", if json { whole_json(&report) } else { whole_text(&report) });
            Ok(Exit::Done)
        }
        Err(Failure::Broken(broken)) => {
            tracing::error!(%broken, "the audit does not hold");
            if json {
                println!("{}", json!({ "ok": false, "broken": broken.to_string() }));
            } else {
                println!("BROKEN: {broken}");
                println!(
                    "Stop changing the database, keep a copy of it as it is, and compare with your last backup."
                );
            }
            Ok(Exit::Failed)
        }
        Err(Failure::Store(error)) => {
            Err(Stop::failed(format!("the ledger could not be read: {}; run it again", reason_of(&error))))
        }
    }
}

fn whole_json(report: &Report) -> String {
    let compared: serde_json::Map<String, serde_json::Value> =
        report.compared.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
    json!({
        "ok": true,
        "rows": report.head.seq,
        "head": { "seq": report.head.seq, "hash": report.head.hash },
        "compared": compared,
    })
    .to_string()
}

fn whole_text(report: &Report) -> String {
    let compared: Vec<String> =
        report.compared.iter().map(|(kind, count)| format!("{count} {kind} rows")).collect();
    let compared = match compared.as_slice() {
        [] => "there is nothing to compare with them".to_owned(),
        some => format!("{} are what their last change left", some.join(", ")),
    };
    format!("{} audit rows hold; {compared}.\nhead {} {}", report.head.seq, report.head.seq, report.head.hash)
}
