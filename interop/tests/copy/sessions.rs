//! Login sessions whose every byte is known by their number, put into a SQLite file with SQLite's own means.

use super::program::Outcome;
use rusqlite::{Connection, params};
use sessile_core::Timestamp;
use sessile_core::login::{LoginData, LoginId, LoginName, NewLogin, PortableLogin, PortableSession};
use sessile_core::portable::Sum;
use sessile_core::{Clock, SystemClock};
use sessile_store::LoginOptions;
use sessile_store::sqlite::SqliteLogins;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// Ids that had ended before anything was copied.
pub(crate) const ENDED: u64 = 3;
/// One session in so many is retiring: its id was regenerated away.
const RETIRING_EVERY: u64 = 1000;

/// When all of them end: long after any test.
static ENDS: LazyLock<Timestamp> = LazyLock::new(|| SystemClock.now().plus(Duration::from_secs(86_400)));

pub(crate) fn ends() -> Timestamp {
    *ENDS
}

pub(crate) fn id(number: u64) -> LoginId {
    name(&format!("session-{number:08}-of-this-test-aaaa"))
}

fn name(text: &str) -> LoginId {
    LoginId::parse(text).unwrap_or_else(|| panic!("{text} is an id"))
}

/// What a session holds: some of it is hard to keep as it is.
pub(crate) fn json(number: u64) -> String {
    let ends = ends().to_iso8601();
    format!(
        r#"{{"cookie":{{"originalMaxAge":86400000,"expires":"{ends}","httpOnly":true,"path":"/"}},"userId":"u{}","n":9007199254740993,"views":{number},"f":1.0,"s":"é😀\"\\\u0000","":true}}"#,
        number % 97
    )
}

pub(crate) fn new_login(number: u64) -> Outcome<NewLogin> {
    Ok(NewLogin { id: id(number), data: LoginData::parse(&json(number))?, expires_at: ends() })
}

const fn is_retiring(number: u64) -> bool {
    number % RETIRING_EVERY == 7
}

/// So many of them, in a file.
pub(crate) struct Sessions {
    count: u64,
}

impl Sessions {
    pub(crate) fn fill(path: &Path, count: u64) -> Outcome<Self> {
        SqliteLogins::open(path, &LoginOptions::default())?.close();
        let mut db = Connection::open(path)?;
        let all = db.transaction()?;
        {
            let mut insert = all.prepare(
                "INSERT INTO sessile_login (sid, sess, user_id, expires_at, retires_at, seen_at, version) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)",
            )?;
            let (ends, now) = (ends().unix_ms(), SystemClock.now().unix_ms());
            for number in 0..count {
                let user = format!("u{}", number % 97);
                let retires = is_retiring(number).then_some(ends);
                insert.execute(params![id(number).hashed(), json(number), user, ends, retires, now])?;
            }
            let mut end = all.prepare("INSERT INTO sessile_login_ended (sid, kept_until) VALUES (?1, ?2)")?;
            for ended in ended() {
                end.execute(params![ended.hashed(), ends])?;
            }
        }
        all.commit()?;
        Ok(Self { count })
    }

    /// The digest of what was put in.
    pub(crate) fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for number in 0..self.count {
            sum.add(&PortableLogin::Session(PortableSession {
                name: LoginName::Plain(id(number)),
                json: json(number),
                expires_at: ends(),
                retiring: is_retiring(number),
            }));
        }
        sum
    }

    pub(crate) fn ended(&self) -> Vec<LoginId> {
        ended().collect()
    }
}

fn ended() -> impl Iterator<Item = LoginId> {
    (0..ENDED).map(|number| name(&format!("ended-{number:08}-of-this-test-aaaaaa")))
}
