//! What the stores hold, in a few lines, for the page that gives the tour: every kind as the dashboard lists it, and no
//! name that somebody could use.

use super::kinds::{Absent, KINDS, Wanted};
use super::pages::tone;
use super::series::Subject;
use crate::app::App;
use sessile::{Timestamp, UserId};

/// One session, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRow {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// As a log names it.
    pub(crate) fingerprint: String,
    pub(crate) state: String,
    /// How the state looks: `good`, `busy`, `bad` or `idle`.
    pub(crate) tone: &'static str,
    /// The amount, the device, the number of videos.
    pub(crate) what: String,
    pub(crate) updated_at: Timestamp,
}

/// The newest sessions of every kind and the logins of `user`, the last change first; `None` when a store did not answer.
pub(crate) async fn stored(app: &App, user: Option<&UserId>) -> Option<Vec<StoredRow>> {
    let mut all = Vec::new();
    for kind in KINDS {
        let subject = kind.subject();
        let rows = match (subject, user) {
            // A login is listed by its user alone.
            (Subject::Login, Some(user)) => kind.search(app, user.as_str()).await,
            (Subject::Login, None) => Ok(Vec::new()),
            _ => kind.list(app, &Wanted::default()).await.map(|listed| listed.rows),
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(Absent::Off(_)) => continue,
            Err(Absent::Away) => return None,
        };
        all.extend(rows.into_iter().map(|row| StoredRow {
            kind: subject.name(),
            fingerprint: fingerprint(subject, &row.id),
            tone: tone(&row.state),
            state: row.state,
            what: row.what,
            updated_at: row.updated_at,
        }));
    }
    all.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
    Some(all)
}

/// A login's row is named by its handle, which is a one-way name already, and a device's name is no secret.
fn fingerprint(subject: Subject, id: &str) -> String {
    match subject {
        Subject::WhatsApp => id.to_owned(),
        Subject::Login => id.chars().take(8).collect(),
        _ => sessile_core::fingerprint_of(id),
    }
}
