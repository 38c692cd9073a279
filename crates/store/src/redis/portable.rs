//! Login sessions that move into Redis, or out of it: a scan of each master in turn, one script for each batch that comes in.

use super::RedisLogins;
use super::engine::{Item, REMEMBER, RedisEngine, Takes, moment};
use super::look::Mark as Ending;
use super::people;
use super::scan::Way;
use super::wire::number;
use async_trait::async_trait;
use sessile_core::login::{
    AmendLogins, Amendment, EndReason, LoginId, LoginName, Names, PortableLogin, PortableSession,
};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashSet;

/// What is scanned, in this order.
const ENDED: usize = 0;
const PHASES: [&str; 2] = ["ended", "session"];

/// A scan may show a key twice.
fn distinct(ids: impl Iterator<Item = LoginId>) -> Vec<LoginId> {
    let mut seen = HashSet::new();
    ids.filter(|id| seen.insert(id.clone())).collect()
}

fn name_of(engine: &RedisEngine, id: &LoginId) -> LoginName {
    match engine.kept_names() {
        Names::Plain => LoginName::Plain(id.clone()),
        Names::Hashed => LoginName::Hashed(id.expose().to_owned()),
    }
}

fn id_of(engine: &RedisEngine, name: &LoginName) -> Option<LoginId> {
    let id = LoginId::parse(&name.stored_as(engine.kept_names())?)?;
    engine.can_place(&id).then_some(id)
}

/// The sessions under these ids that live at `now`; how many values are no sessions.
async fn sessions(
    engine: &RedisEngine,
    ids: &[LoginId],
    now: Timestamp,
) -> Result<(Vec<Option<PortableSession>>, u64), StoreError> {
    let (mut found, mut unreadable) = (Vec::with_capacity(ids.len()), 0);
    for (id, seen) in ids.iter().zip(engine.look(ids).await?) {
        let is_live = seen.is_live(now);
        let retires = match seen.mark {
            Some(Ending::Retires(at)) => Some(at),
            _ => None,
        };
        let json = seen.json.filter(|_| is_live);
        let session = json.and_then(|json| {
            if json.is_empty() {
                unreadable += 1;
                return None;
            }
            let expires_at = retires.map_or(seen.expires_at, |at| at.min(seen.expires_at));
            Some(PortableSession { name: name_of(engine, id), json, expires_at, retiring: retires.is_some() })
        });
        found.push(session);
    }
    Ok((found, unreadable))
}

/// Of these ids, the ones that have ended, and until when that is remembered.
async fn ended(
    engine: &RedisEngine,
    ids: &[LoginId],
    now: Timestamp,
) -> Result<Vec<PortableLogin>, StoreError> {
    let until = |id: &LoginId| {
        let mut cmd = redis::cmd("PEXPIRETIME");
        cmd.arg(engine.names.keys(id).mark);
        cmd
    };
    let (seen, untils) =
        (engine.look(ids).await?, engine.server().send(ids.iter().map(until).collect()).await?);
    let mut rows = Vec::new();
    for ((id, seen), until) in ids.iter().zip(seen).zip(untils) {
        let is_over = match seen.mark {
            Some(Ending::Ended) => true,
            Some(Ending::Retires(at)) => at <= now || seen.json.is_none(),
            Some(Ending::Expired) | None => false,
        };
        if let Some(until) = number(&until).filter(|until| is_over && *until > 0) {
            rows.push(PortableLogin::Ended {
                name: name_of(engine, id),
                until: Timestamp::from_unix_ms(until),
            });
        }
    }
    Ok(rows)
}

/// Sessions come in as one script; each one's user is in the index before.
async fn land(
    engine: &RedisEngine,
    sessions: &[(usize, LoginId, &PortableSession)],
    landed: &mut [Landed],
) -> Result<(), StoreError> {
    let mut before = Vec::with_capacity(sessions.len());
    let mut items = Vec::with_capacity(sessions.len());
    for (_, id, session) in sessions {
        let user = session.data().and_then(|data| data.user(&engine.user_key));
        if let Some(user) = user.filter(|_| !session.retiring) {
            before.push(people::index(engine, &user, id, session.expires_at));
        }
        let retires = if session.retiring { "r" } else { "" };
        items.push(Item { id, args: [session.json.clone(), moment(session.expires_at), retires.to_owned()] });
    }
    let common = [REMEMBER.as_millis().to_string()];
    let land = &engine.scripts.land;
    let answers = engine.run(land, Takes::Two, &common, &items, (before, Vec::new())).await?;
    for ((at, _, _), answer) in sessions.iter().zip(answers) {
        landed[*at] = match answer {
            1 => Landed::New,
            2 => Landed::Renewed,
            _ => Landed::Kept,
        };
    }
    Ok(())
}

impl RedisLogins {
    /// Which names these keys hold.
    pub(crate) fn names(&self) -> Names {
        self.0.engine().kept_names()
    }

    fn way(&self) -> Way<'_> {
        Way { server: self.0.engine().server(), phases: &PHASES }
    }
}

#[async_trait]
impl Porter<PortableLogin> for RedisLogins {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        self.way().size().await
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableLogin>, StoreError> {
        let (engine, way) = (self.0.engine(), self.way());
        let stop = way.resume(from).await?;
        if stop.phase == ENDED {
            let (keys, next) = way.step(stop, &engine.names.marks_pattern(), limit).await?;
            let ids = distinct(keys.iter().filter_map(|key| engine.names.id_of_mark(key)));
            return Ok(Batch { rows: ended(engine, &ids, now).await?, next, unreadable: 0 });
        }
        let (keys, next) = way.step(stop, &engine.names.sessions_pattern(), limit).await?;
        let ids = distinct(keys.iter().filter_map(|key| engine.names.id_of_session(key)));
        let (found, unreadable) = sessions(engine, &ids, now).await?;
        Ok(Batch {
            rows: found.into_iter().flatten().map(PortableLogin::Session).collect(),
            next,
            unreadable,
        })
    }

    async fn import(&self, rows: &[PortableLogin], now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let engine = self.0.engine();
        let mut landed = vec![Landed::Refused; rows.len()];
        let (mut living, mut over) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let Some(id) = id_of(engine, row.name()) else { continue };
            match row {
                PortableLogin::Session(session) => living.push((at, id, session)),
                PortableLogin::Ended { .. } => over.push((at, id)),
            }
        }
        land(engine, &living, &mut landed).await?;
        let ending: Vec<_> = over.iter().map(|(_, id)| (id.clone(), None)).collect();
        if !ending.is_empty() {
            let was_live = engine.end(&ending, EndReason::Destroyed, now).await?;
            for ((at, _), was_live) in over.iter().zip(was_live) {
                landed[*at] = if was_live { Landed::Renewed } else { Landed::Kept };
            }
        }
        Ok(landed)
    }

    async fn held(
        &self,
        like: &[PortableLogin],
        now: Timestamp,
    ) -> Result<Vec<Option<PortableLogin>>, StoreError> {
        let engine = self.0.engine();
        let ids: Vec<Option<LoginId>> = like.iter().map(|row| id_of(engine, row.name())).collect();
        let known: Vec<LoginId> = ids.iter().flatten().cloned().collect();
        let found = sessions(engine, &known, now).await?.0;
        let missing: Vec<LoginId> =
            known.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(id, _)| id.clone()).collect();
        let over = ended(engine, &missing, now).await?;
        let mut found = found.into_iter();
        let held = |id: &Option<LoginId>| {
            let name = name_of(engine, id.as_ref()?);
            if let Some(session) = found.next().flatten() {
                return Some(PortableLogin::Session(session));
            }
            over.iter().find(|row| *row.name() == name).cloned()
        };
        Ok(ids.iter().map(held).collect())
    }
}

#[async_trait]
impl AmendLogins for RedisLogins {
    async fn amend(&self, amendments: &[Amendment]) -> Result<u64, StoreError> {
        let engine = self.0.engine();
        let keyed =
            |one: &Amendment| Some((id_of(engine, &one.name)?, [one.before.clone(), one.after.clone()]));
        let given: Vec<(LoginId, [String; 2])> = amendments.iter().filter_map(keyed).collect();
        let items: Vec<Item<'_, 2>> =
            given.iter().map(|(id, args)| Item { id, args: args.clone() }).collect();
        let done = engine.run(&engine.scripts.amend, Takes::Two, &[], &items, Default::default()).await?;
        Ok(done.into_iter().filter(|done| *done == 1).count() as u64)
    }
}
