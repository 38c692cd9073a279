//! What the doctor found, for people and as JSON.

use serde::Serialize;
use std::fmt;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and there is something to know.
    Warn,
    /// It will not work.
    Fail,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found; with the remedy, unless it is fine.
    pub what: String,
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, what: what.into() }
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, what: what.into() }
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, what: what.into() }
    }
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    verdict: Verdict,
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        Self { verdict, findings }
    }

    /// The worst of them.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, verdict, what } in &self.findings {
            let word = match verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            writeln!(f, "{word}  {check:<14} {what}")?;
        }
        let last = match self.verdict {
            Verdict::Ok => "All is well.",
            Verdict::Warn => "It works; see the warnings.",
            Verdict::Fail => "Something has to be mended first.",
        };
        writeln!(f, "\n{last}")
    }
}
