//! Login sessions. They are found by their user: a session's own id is a bearer secret, and stands nowhere.
//!
//! A sheet's name is the session's handle, a dot, and the user.

use super::{
    Absent, Deed, Fact, Form, Kind, Listed, Moment, Row, Sheet, Table, Wanted, search_address, sheet_address,
};
use crate::admin::counts::{self, Count, away};
use crate::admin::remarks;
use crate::admin::series::{Mark, Subject};
use crate::app::App;
use crate::http::Problem;
use crate::pages::device_name;
use crate::stores::reason_of;
use async_trait::async_trait;
use sessile::{DeviceHandle, Revoked, Timestamp, UserId};
use sessile_core::StoreError;
use sessile_core::login::{EVENTS_MAX, ListedLogin};
use sessile_core::user::UserUuid;

/// Login sessions.
pub(in crate::admin) struct Login;

const TIMELINE_NOTE: &str = "What operators did stands in the audit log. Sign-ins and sign-outs are recorded where \
    SESSILE_EVENTS is on, and shown until somebody takes them.";
const LIST_NOTE: &str = "Login sessions are found by their user: search for a user's id.";

fn name_of(handle: &DeviceHandle, user: &UserId) -> String {
    format!("{handle}.{user}")
}

fn parsed(name: &str) -> Option<(DeviceHandle, UserId)> {
    let (handle, user) = name.split_once('.')?;
    Some((DeviceHandle::parse(handle)?, UserId::parse(user)?))
}

fn device_of(login: &ListedLogin) -> String {
    let agent = login.device.as_ref().and_then(|device| device.agent.as_deref());
    device_name(agent.unwrap_or_default())
}

fn created_at(login: &ListedLogin) -> Option<Timestamp> {
    login.device.as_ref().map(|device| device.created())
}

async fn list_of(app: &App, user: &UserId) -> Result<Vec<ListedLogin>, Absent> {
    let listed = app.sessions.logins().store().list(user, app.clock.now()).await;
    listed.map_err(|error| away(&error))
}

#[async_trait]
impl Kind for Login {
    fn subject(&self) -> Subject {
        Subject::Login
    }

    fn title(&self) -> &'static str {
        "Logins"
    }

    fn states(&self) -> &'static [&'static str] {
        &["live"]
    }

    fn busy_state(&self) -> &'static str {
        "live"
    }

    fn marks(&self) -> &'static [(Mark, &'static str)] {
        &[(Mark::Created, "begun"), (Mark::Completed, "ended"), (Mark::Expired, "expired")]
    }

    async fn count(&self, app: &App) -> Result<Count, Absent> {
        let count = counts::logins(app).await?;
        Ok(Count { states: vec![("live".to_owned(), count.live)], more: count.more })
    }

    async fn list(&self, _app: &App, _wanted: &Wanted) -> Result<Listed, Absent> {
        Ok(Listed { note: Some(LIST_NOTE), ..Listed::default() })
    }

    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent> {
        let Some(user) = UserId::parse(needle) else { return Ok(Vec::new()) };
        let row = |login: &ListedLogin| Row {
            id: name_of(&login.handle, &user),
            name: login.handle.as_str().chars().take(8).collect(),
            state: "live".to_owned(),
            user: Some(user.as_str().to_owned()),
            what: device_of(login),
            created_at: created_at(login),
            updated_at: login.last_seen,
        };
        Ok(list_of(app, &user).await?.iter().map(row).collect())
    }

    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent> {
        let Some((handle, user)) = parsed(id) else { return Ok(None) };
        let logins = list_of(app, &user).await?;
        let timeline = timeline(app, &handle, id).await;
        let login = logins.iter().find(|login| login.handle == handle);
        if login.is_none() && timeline.is_empty() {
            return Ok(None);
        }
        let others = logins.iter().filter(|login| login.handle != handle);
        Ok(Some(Sheet {
            name: format!("Login {}", handle.as_str()),
            state: if login.is_some() { "live" } else { "ended" }.to_owned(),
            says: None,
            facts: facts(app, &user, login).await,
            tables: table(&user, others).into_iter().collect(),
            timeline,
            timeline_note: Some(TIMELINE_NOTE),
            deeds: deeds(login, logins.len()),
        }))
    }

    async fn act(&self, app: &App, id: &str, deed: &str, _form: &Form) -> Result<Option<String>, Problem> {
        let (handle, user) = parsed(id).ok_or_else(Problem::device_not_found)?;
        let (store, now) = (app.sessions.logins().store(), app.clock.now());
        if deed == "revoke-all" {
            remarks::record(app, "login.revoke_all_ordered", user.as_str()).await?;
            let ended = store.revoke_all(&user, None, now).await.map_err(|error| unanswered(&error))?;
            tracing::info!(ended, "an operator ended all sessions of a user");
            return Ok(Some(search_address(user.as_str())));
        }
        remarks::record(app, "login.revoke_ordered", id).await?;
        let revoked = store.revoke(&user, &handle, now).await.map_err(|error| unanswered(&error))?;
        tracing::info!(revoked = revoked == Revoked::Yes, "an operator ended a session");
        match revoked {
            Revoked::Yes => Ok(None),
            Revoked::NoSuchSession => Err(Problem::device_not_found()),
        }
    }
}

fn unanswered(error: &StoreError) -> Problem {
    tracing::error!(error = reason_of(error), "the store of login sessions did not answer an operator");
    Problem::logins_unavailable()
}

/// What is known of a session's past: the outbox, as far as nobody has taken it, and what operators did.
async fn timeline(app: &App, handle: &DeviceHandle, id: &str) -> Vec<Moment> {
    let events = app.sessions.logins().store().events(EVENTS_MAX).await.unwrap_or_default();
    let told = events.iter().filter(|event| event.handle == *handle);
    let mut moments: Vec<Moment> = told
        .map(|event| Moment { at: event.at, what: event.kind.name().to_owned(), by: None, seq: None })
        .collect();
    moments.extend(remarks::about(app, id).await);
    moments.sort_by_key(|moment| moment.at);
    moments
}

async fn facts(app: &App, user: &UserId, login: Option<&ListedLogin>) -> Vec<(&'static str, Fact)> {
    let mut facts = vec![("User", Fact::find(user.as_str()))];
    if let Some(id) = UserUuid::of_user(user)
        && let Ok(Some(known)) = app.users.find(&id).await
    {
        facts.extend(known.email.map(|email| ("Address", Fact::text(email))));
        facts.push(("Tier", Fact::text(known.tier)));
    }
    let Some(login) = login else { return facts };
    facts.push(("Device", Fact::text(device_of(login))));
    if let Some(device) = &login.device {
        facts.extend(device.address.clone().map(|address| ("Network", Fact::text(address))));
    }
    facts.extend(created_at(login).map(|at| ("Signed in", Fact::At(at))));
    facts.push(("Last used", Fact::At(login.last_seen)));
    facts.push(("Ends", Fact::At(login.expires_at)));
    facts
}

fn table<'l>(user: &UserId, others: impl Iterator<Item = &'l ListedLogin>) -> Option<Table> {
    let row = |login: &ListedLogin| {
        let address = sheet_address(Subject::Login, &name_of(&login.handle, user));
        let name = login.handle.as_str().chars().take(8).collect();
        vec![Fact::Link(address, name), Fact::text(device_of(login)), Fact::At(login.last_seen)]
    };
    let rows: Vec<Vec<Fact>> = others.map(row).collect();
    (!rows.is_empty()).then_some(Table {
        title: "Other sessions of this user",
        heads: &["Login", "Device", "Last used"],
        rows,
    })
}

fn deeds(login: Option<&ListedLogin>, all: usize) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if login.is_some() {
        deeds.push(Deed {
            name: "revoke".to_owned(),
            label: "Revoke this login",
            consequence: "Whoever uses it is signed out with their next request, and it never comes back."
                .to_owned(),
            note: None,
        });
    }
    if all > usize::from(login.is_some()) {
        deeds.push(Deed {
            name: "revoke-all".to_owned(),
            label: "Revoke all logins of this user",
            consequence: format!(
                "All {all} sessions of this user end, on every device. The user can sign in again."
            ),
            note: None,
        });
    }
    deeds
}
