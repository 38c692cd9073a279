//! The kinds of session, as the dashboard knows them. Counting, listing, finding, showing and acting are the same pages
//! for all of them: a new kind is a module here, an entry in [`KINDS`], and a [`Subject`] to be counted under.
//!
//! Nothing here decides anything: what an operator does goes to the services behind `/v1`.

pub(super) mod checkout;
pub(super) mod generation;
mod login;
pub(super) mod payment;
mod whatsapp;

pub(super) use login::Login;

use super::counts::Count;
use super::series::{Mark, Subject};
use crate::app::App;
use crate::http::Problem;
use async_trait::async_trait;
use sessile::Timestamp;
use sessile_core::ledger::{AuditRow, Cursor};
use std::collections::BTreeMap;

/// Every kind, in the order of the pages.
pub(super) const KINDS: [&dyn Kind; 5] =
    [&checkout::Checkouts, &payment::Payments, &generation::Generations, &whatsapp::WhatsApp, &Login];

/// The kind with this name.
pub(super) fn kind_of(name: &str) -> Option<&'static dyn Kind> {
    KINDS.into_iter().find(|kind| kind.subject().name() == name)
}

/// Why something cannot be shown.
#[derive(Debug, Clone)]
pub(super) enum Absent {
    /// The kind is not set up here; the sentence says what is missing.
    Off(String),
    /// Its store did not answer.
    Away,
}

/// One kind of session.
#[async_trait]
pub(super) trait Kind: Send + Sync {
    /// What it is counted under; its name stands in addresses.
    fn subject(&self) -> Subject;
    /// Many of it.
    fn title(&self) -> &'static str;
    /// The states that are shown even when nothing is in them.
    fn states(&self) -> &'static [&'static str];
    /// The state that says how much is going on.
    fn busy_state(&self) -> &'static str;
    /// What its chart shows.
    fn marks(&self) -> &'static [(Mark, &'static str)];
    /// How many there are, by state.
    async fn count(&self, app: &App) -> Result<Count, Absent>;
    /// The newest, or those in a state.
    async fn list(&self, app: &App, wanted: &Wanted) -> Result<Listed, Absent>;
    /// Those that somebody may mean by `needle`.
    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent>;
    /// All about one.
    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent>;
    /// Does what a [`Deed`] of its sheet promised; answers where to go on, if not back to the sheet.
    async fn act(&self, app: &App, id: &str, deed: &str, form: &Form) -> Result<Option<String>, Problem>;
}

/// Which rows of a list.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) status: Option<String>,
    pub(super) after: Option<Cursor>,
}

/// One page of a list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) rows: Vec<Row>,
    pub(super) next: Option<Cursor>,
    /// What is to be known about it.
    pub(super) note: Option<&'static str>,
}

/// One session in a list.
#[derive(Debug)]
pub(super) struct Row {
    /// As its sheet's address names it.
    pub(super) id: String,
    /// As people read it.
    pub(super) name: String,
    pub(super) state: String,
    pub(super) user: Option<String>,
    /// The amount, the device, the number of videos.
    pub(super) what: String,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
}

/// All about one session.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: String,
    pub(super) state: String,
    /// What happened, and what would mend it.
    pub(super) says: Option<String>,
    pub(super) facts: Vec<(&'static str, Fact)>,
    pub(super) tables: Vec<Table>,
    /// The oldest first.
    pub(super) timeline: Vec<Moment>,
    /// What is to be known about the timeline.
    pub(super) timeline_note: Option<&'static str>,
    /// What an operator may do now.
    pub(super) deeds: Vec<Deed>,
}

/// One value.
#[derive(Debug)]
pub(super) enum Fact {
    Text(String),
    /// A name that is copied, not read.
    Code(String),
    At(Timestamp),
    /// Another page of the dashboard.
    Link(String, String),
}

impl Fact {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn code(text: impl Into<String>) -> Self {
        Self::Code(text.into())
    }

    /// What a search for `needle` finds.
    pub(super) fn find(needle: &str) -> Self {
        Self::Link(search_address(needle), needle.to_owned())
    }
}

/// More about a session.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) heads: &'static [&'static str],
    pub(super) rows: Vec<Vec<Fact>>,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) what: String,
    /// Who caused it.
    pub(super) by: Option<String>,
    /// The row of the audit log.
    pub(super) seq: Option<i64>,
}

impl From<&AuditRow> for Moment {
    fn from(row: &AuditRow) -> Self {
        Self { at: row.at, what: row.event.clone(), by: Some(row.actor.clone()), seq: Some(row.seq) }
    }
}

/// Something that an operator may do, and is asked back for.
#[derive(Debug)]
pub(super) struct Deed {
    /// Stands in the address.
    pub(super) name: String,
    /// Stands on the button.
    pub(super) label: &'static str,
    /// What will happen, and what will not.
    pub(super) consequence: String,
    /// A sentence that the operator has to write, and its label.
    pub(super) note: Option<&'static str>,
}

/// What a form sent.
#[derive(Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn of(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// A field that is not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// Where a session's sheet is.
pub(super) fn sheet_address(kind: Subject, id: &str) -> String {
    format!("/admin/{}/{}", kind.name(), segment(id))
}

/// Where a search is.
pub(super) fn search_address(needle: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", needle).finish();
    format!("/admin/search?{query}")
}

/// One segment of a path: whatever an id is made of, it stays one.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A long name, shortened in the middle; addresses keep all of it.
pub(super) fn short(name: &str) -> String {
    const HEAD: usize = 12;
    const TAIL: usize = 6;
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= HEAD + TAIL + 2 {
        return name.to_owned();
    }
    let (head, tail) = (&chars[..HEAD], &chars[chars.len() - TAIL..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_whatever_an_id_is_made_of() {
        assert_eq!(sheet_address(Subject::Payment, "a b/c?%+é"), "/admin/payment/a%20b%2Fc%3F%25%2B%C3%A9");
        assert_eq!(search_address("a&b=c"), "/admin/search?q=a%26b%3Dc");
        assert_eq!(short("pay_0123456789abcdefghijkl"), "pay_01234567…ghijkl");
        assert_eq!(short("ckabcdefghij"), "ckabcdefghij");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in KINDS {
            assert_eq!(kind_of(kind.subject().name()).map(|found| found.title()), Some(kind.title()));
            assert!(kind.states().contains(&kind.busy_state()));
        }
        assert!(kind_of("search").is_none() && kind_of("coupons").is_none());
    }
}
