//! `sessile doctor`: the configuration against reality. Changes nothing that was there; every finding that is not
//! fine says what to do.

mod checks;
mod generation;
mod money;
mod report;
mod store;
mod web;
mod whatsapp;

pub use report::{Finding, Report, Verdict};

use crate::config::{Config, Overrides};
use crate::exit::{Exit, Stop};
use std::collections::BTreeMap;

/// Checks everything and prints the report. [`Exit::Failed`] when a check failed.
///
/// # Errors
/// Never for a finding; [`Stop`] when the report itself cannot be made.
pub async fn run(env: &BTreeMap<String, String>, overrides: &Overrides, json: bool) -> Result<Exit, Stop> {
    let report = Box::pin(examine(env, overrides)).await;
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Stop::failed(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{report}");
    }
    Ok(if report.verdict() == Verdict::Fail { Exit::Failed } else { Exit::Done })
}

/// The report itself.
pub async fn examine(env: &BTreeMap<String, String>, overrides: &Overrides) -> Report {
    match Config::load(env, overrides) {
        Err(error) => Report::new(
            error.0.into_iter().map(|sentence| Finding::fail("configuration", sentence)).collect(),
        ),
        Ok(config) => Report::new(checks::all(&config).await),
    }
}
