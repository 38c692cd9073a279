//! What is exported is what is there, and what is imported overwrites nothing newer and brings nothing back. An engine that
//! gives and takes nothing declares so.

use crate::contract::harness::{EventLog, HOUR, Must, TestStore, change, new_id};
use crate::ends::LoginEnd;
use sessile_core::Timestamp;
use sessile_core::login::{Absence, Amendment, EndReason, LoginName, Lookup, PortableLogin, PortableSession};
use sessile_core::portable::{Landed, Portable as _, Sum};
use std::time::Duration;

/// Rows of one batch: few, so that there are several.
const BATCH: usize = 2;

/// Everything that an export shows, batch by batch.
async fn everything(end: &dyn LoginEnd, now: Timestamp) -> Vec<PortableLogin> {
    let (mut rows, mut mark) = (Vec::new(), None);
    loop {
        let batch = end.export(mark.as_ref(), BATCH, now).await.must("export");
        rows.extend(batch.rows);
        mark = batch.next;
        if mark.is_none() {
            return rows;
        }
    }
}

fn sum(rows: &[PortableLogin]) -> Sum {
    let mut sum = Sum::default();
    rows.iter().for_each(|row| sum.add(row));
    sum
}

fn sessions(rows: &[PortableLogin]) -> Vec<&PortableSession> {
    rows.iter()
        .filter_map(|row| match row {
            PortableLogin::Session(session) => Some(session),
            PortableLogin::Ended { .. } => None,
        })
        .collect()
}

pub(crate) async fn what_is_exported_is_what_is_there(test: &TestStore) {
    let Some(end) = test.end() else { return };
    let (first, stored) = test.given(r#""userId":"u1","n":9007199254740993"#).await;
    let (second, _) = test.given(r#""k":"\u0000é""#).await;
    let (ended, _) = test.given("").await;
    test.store.destroy(&ended, EndReason::Destroyed, test.base).await.must("destroy");
    let (old, renewed) = (test.given("").await.0, test.login(""));
    let grace = test.after(30);
    test.store.replace(&old, grace, renewed.clone(), test.base).await.must("replace");

    let rows = everything(end, test.base).await;
    let found = |id: &sessile_core::login::LoginId| {
        let hash = id.hashed();
        rows.iter().find(|row| row.name().hashed() == hash).must("a row")
    };
    let PortableLogin::Session(session) = found(&first) else { panic!("it lives") };
    assert_eq!(
        (session.json.as_str(), session.expires_at),
        (stored.data.to_json().as_str(), stored.expires_at)
    );
    assert!(matches!(found(&second), PortableLogin::Session(session) if session.json.contains(r"\u0000é")));
    assert!(matches!(found(&ended), PortableLogin::Ended { until, .. } if *until > test.base));
    let PortableLogin::Session(retiring) = found(&old) else { panic!("its grace is not over") };
    assert_eq!((retiring.expires_at, retiring.retiring), (grace, true));
    assert!(matches!(found(&renewed.id), PortableLogin::Session(session) if !session.retiring));
    assert_eq!(sessions(&rows).len(), 4);
    // What is over is not shown as living.
    let later = everything(end, test.base.plus(HOUR)).await;
    assert!(sessions(&later).is_empty(), "{later:?}");
    let held = end.held(&rows, test.base).await.must("held");
    for (row, held) in rows.iter().zip(held) {
        assert_eq!(held.must("what was just shown").canonical(), row.canonical());
    }
}

pub(crate) async fn what_is_imported_replaces_nothing_newer_and_revives_nothing(test: &TestStore) {
    let Some(end) = test.end() else { return };
    let (used, stored) = test.given(r#""n":1"#).await;
    let (left, _) = test.given(r#""n":2"#).await;
    let before = everything(end, test.base).await;
    // The same again changes nothing.
    let landed = end.import(&before, test.base).await.must("import");
    assert!(landed.iter().all(|one| *one == Landed::Kept), "{landed:?}");
    assert_eq!(sum(&everything(end, test.base).await), sum(&before));

    // Life goes on; then the same rows come once more, late.
    test.store.touch(&used, test.after(7200), test.base).await.must("touch");
    test.store.destroy(&left, EndReason::Destroyed, test.base).await.must("destroy");
    let landed = end.import(&before, test.base).await.must("import");
    assert!(landed.iter().all(|one| *one == Landed::Kept), "{landed:?}");
    assert_eq!(test.live(&used, test.base).await.must("a live one").expires_at, test.after(7200));
    assert!(matches!(test.store.load(&left, test.base).await, Ok(Lookup::Absent(Absence::Ended))));

    // A later state takes the place of an earlier one, and an end that of everything.
    let session = |row: &PortableLogin| match row {
        PortableLogin::Session(session) => session.clone(),
        PortableLogin::Ended { .. } => panic!("it lives"),
    };
    let name = used.hashed();
    let row = before.iter().find(|row| row.name().hashed() == name).must("its row");
    let later = PortableSession {
        expires_at: test.after(9000),
        json: stored.data.to_json().replace(r#""n":1"#, r#""n":3,"userId":"u9""#),
        ..session(row)
    };
    let landed = end.import(&[PortableLogin::Session(later)], test.base).await.must("import");
    assert_eq!(landed, [Landed::Renewed]);
    assert_eq!(test.entries(&used, test.base).await, r#""n":3,"userId":"u9""#);
    let user = sessile_core::login::UserId::parse("u9").must("a user");
    assert_eq!(test.store.list(&user, test.base).await.must("list").len(), 1, "it is in its user's list");
    let over = PortableLogin::Ended { name: row.name().clone(), until: test.after(9999) };
    end.import(&[over], test.base).await.must("import");
    assert!(matches!(test.store.load(&used, test.base).await, Ok(Lookup::Absent(Absence::Ended))));
    if test.capabilities.events == EventLog::Recorded {
        let told = test.store.events(100).await.must("events");
        assert!(told.len() <= 4, "an import tells nobody of what lands: {told:?}");
    }
}

pub(crate) async fn a_retiring_session_moves_with_its_grace(test: &TestStore) {
    let Some(end) = test.end() else { return };
    let id = new_id();
    let name = LoginName::of_stored(
        &LoginName::Plain(id.clone()).stored_as(end.names()).must("a name"),
        end.names(),
    );
    let retires = test.after(30);
    let row = PortableLogin::Session(PortableSession {
        name: name.must("a name"),
        json: test.login("").data.to_json(),
        expires_at: retires,
        retiring: true,
    });
    let landed = end.import(std::slice::from_ref(&row), test.base).await.must("import");
    assert_eq!(landed, [Landed::New]);
    assert!(test.live(&id, test.base).await.is_some(), "it answers until then");
    // Whether it says so or not, it prolongs nothing.
    drop(test.store.touch(&id, test.after(600), test.base).await);
    assert!(test.live(&id, test.after(31)).await.is_none(), "nothing prolongs it");
}

pub(crate) async fn a_value_is_amended_only_where_it_is_still_the_same(test: &TestStore) {
    let Some(end) = test.end() else { return };
    let (id, stored) = test.given(r#""token":"old","n":1"#).await;
    let hash = id.hashed();
    let rows = everything(end, test.base).await;
    let row = rows.iter().find(|row| row.name().hashed() == hash).must("its row");
    let before = stored.data.to_json();
    let amend = |from: &str, to: &str| Amendment {
        name: row.name().clone(),
        before: from.to_owned(),
        after: before.replace("old", to),
    };
    assert_eq!(end.amend(&[amend(&before, "new")]).await.must("amend"), 1);
    assert_eq!(end.amend(&[amend(&before, "newer")]).await.must("amend"), 0, "it is another one by now");
    let live = test.live(&id, test.base).await.must("it lives");
    assert_eq!((live.data.to_json(), live.expires_at), (before.replace("old", "new"), stored.expires_at));
    // A change that was decided before is merged, as after any other change.
    let late = change(&id, &stored, &[("n", Some("2"))]);
    test.store.commit(late, test.base.plus(Duration::from_secs(1))).await.must("commit");
    assert_eq!(test.entries(&id, test.base).await, r#""token":"new","n":2"#);
}
