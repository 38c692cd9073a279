//! The fallback, with a primary that can be switched off: nothing acknowledged is lost, nothing ended comes back.

mod outages;

use outages::{Outages, PATIENCE, Power, new_id};
use proptest::prelude::*;
use sessile_core::StoreError;
use sessile_core::login::{Absence, EndReason, LoginStore, Lookup, NewLogin, Persistence, Revoked, UserId};
use sessile_store::contract::{Capabilities, TestStore};
use std::collections::HashMap;
use std::time::Duration;

/// With a primary that answers, a fallback is that primary.
async fn clear() -> TestStore {
    let outages = Outages::begin(Power::On).await;
    let test = TestStore::new(outages.store());
    assert_eq!(test.store.info().persistence, Persistence::Ephemeral);
    test.at(outages.now()).guarded_by(outages)
}

mod while_the_primary_answers {
    use super::clear;
    sessile_store::contract!(clear);
}

/// With a primary that is away from the start, the spool passes what a spool can pass.
#[tokio::test]
async fn the_spool_keeps_the_contract_for_what_it_holds() {
    use sessile_store::contract as case;
    macro_rules! in_an_outage {
        ($($name:ident),+) => {
            $({
                let outages = Outages::begin(Power::Off).await;
                let test = TestStore::new(outages.store()).at(outages.now());
                let capabilities = Capabilities { events: case::EventLog::Off, ..test.capabilities.clone() };
                outages.enter_degraded().await;
                case::$name(test.with(capabilities).guarded_by(outages)).await;
            })+
        };
    }
    in_an_outage!(
        create_refuses_a_taken_id,
        create_refuses_an_ended_id,
        commit_merges_disjoint_keys,
        same_key_last_commit_wins,
        commit_never_revives_a_destroyed_session,
        touch_never_revives,
        touch_never_moves_back,
        commit_after_destroy_race,
        replace_has_no_gap,
        replaced_id_answers_until_its_grace_ends_and_no_longer,
        many_writers_lose_no_update,
        many_rounds_lose_no_update,
        one_of_many_creators_wins
    );
}

#[tokio::test]
async fn a_sign_in_during_an_outage_is_kept_and_handed_over() {
    let outages = Outages::begin(Power::Off).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let login = outages.login(r#""userId":"u""#);
    let base = fallback.create(login.clone(), now).await.unwrap();
    assert!(fallback.info().degraded.unwrap().contains("as the test asked"));
    assert_eq!(fallback.spooled().unwrap().sessions, 1);
    fallback.commit(outages.change(&login.id, &base, "k", "1"), now).await.unwrap();
    fallback.touch(&login.id, now.plus(Duration::from_secs(9000)), now).await.unwrap();
    assert!(matches!(fallback.load(&login.id, now).await.unwrap(), Lookup::Live(_)));
    fallback.ping().await.unwrap();

    outages.set(Power::On);
    outages.whole_again().await;
    let stored = outages.in_primary(&login.id).await.unwrap();
    assert_eq!((stored.data.raw("k"), stored.data.raw("userId")), (Some("1"), Some("\"u\"")));
    assert_eq!(stored.expires_at, now.plus(Duration::from_secs(9000)));
    assert_eq!(fallback.info().degraded, None);
}

#[tokio::test]
async fn a_logout_during_an_outage_holds_at_once_and_afterwards() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let (login, other) = (outages.login(r#""userId":"u""#), outages.login(""));
    let base = fallback.create(login.clone(), now).await.unwrap();
    fallback.create(other.clone(), now).await.unwrap();
    outages.set(Power::Off);
    fallback.destroy(&login.id, EndReason::Destroyed, now).await.unwrap();
    for power in [Power::Off, Power::On] {
        outages.set(power);
        let found = fallback.load(&login.id, now).await.unwrap();
        assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
        let late = fallback.commit(outages.change(&login.id, &base, "k", "1"), now).await;
        assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
        if power == Power::Off {
            // What only the primary knows is neither made up nor denied.
            assert!(matches!(fallback.load(&other.id, now).await, Err(StoreError::Unavailable(_))));
            let touched = fallback.touch(&other.id, now.plus(Duration::from_secs(9000)), now).await;
            assert!(matches!(touched, Err(StoreError::Unavailable(_))), "{touched:?}");
        }
    }
    outages.whole_again().await;
    assert!(outages.in_primary(&login.id).await.is_none(), "a session came back from the dead");
    assert!(outages.in_primary(&other.id).await.is_some());
    let again = fallback.create(login, now).await;
    assert!(matches!(again, Err(StoreError::Taken)), "{again:?}");
}

#[tokio::test]
async fn a_regeneration_during_an_outage_ends_the_old_id_in_the_primary() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let old = outages.login(r#""cart":1"#);
    fallback.create(old.clone(), now).await.unwrap();
    outages.set(Power::Off);
    let new = outages.login(r#""cart":1,"userId":"u""#);
    for _ in 0..2 {
        fallback.replace(&old.id, now.plus(Duration::from_secs(10)), new.clone(), now).await.unwrap();
    }
    assert!(matches!(fallback.load(&old.id, now).await.unwrap(), Lookup::Absent(Absence::Ended)));
    assert!(matches!(fallback.load(&new.id, now).await.unwrap(), Lookup::Live(_)));
    // Once more, now from a session that lives in the spool: it keeps its grace.
    let newer = outages.login(r#""cart":2,"userId":"u""#);
    fallback.replace(&new.id, now.plus(Duration::from_secs(10)), newer.clone(), now).await.unwrap();
    assert!(matches!(fallback.load(&new.id, now).await.unwrap(), Lookup::Live(s) if s.retires_at.is_some()));
    outages.set(Power::On);
    // The primary has been told of everything else by then; the grace goes on here until it is over.
    outages::eventually(async || (outages.in_primary(&newer.id).await.is_some()).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(fallback.info().degraded.is_some());
    assert!(matches!(fallback.load(&new.id, now).await.unwrap(), Lookup::Live(s) if s.retires_at.is_some()));
    outages.advance(Duration::from_secs(11));
    outages.whole_again().await;
    for gone in [&old.id, &new.id] {
        assert!(outages.in_primary(gone).await.is_none());
    }
    assert_eq!(outages.in_primary(&newer.id).await.unwrap().data.raw("cart"), Some("2"));
}

#[tokio::test]
async fn a_lost_reply_leads_to_one_session_not_two_truths() {
    let outages = Outages::begin(Power::Lossy).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let login = outages.login(r#""a":0,"b":0"#);
    // It landed, unanswered; the spool goes on with `a`, and another process goes on with `b` in the primary.
    let base = fallback.create(login.clone(), now).await.unwrap();
    fallback.commit(outages.change(&login.id, &base, "a", "1"), now).await.unwrap();
    let landed = outages.in_primary(&login.id).await.unwrap();
    outages.primary().commit(outages.change(&login.id, &landed, "b", "2"), now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    let merged = outages.in_primary(&login.id).await.unwrap();
    assert_eq!((merged.data.raw("a"), merged.data.raw("b")), (Some("1"), Some("2")));
}

#[tokio::test]
async fn a_spooled_copy_that_did_not_change_overwrites_nothing() {
    let outages = Outages::begin(Power::Lossy).await;
    let now = outages.now();
    let login = outages.login(r#""a":0"#);
    outages.fallback().create(login.clone(), now).await.unwrap();
    let landed = outages.in_primary(&login.id).await.unwrap();
    outages.primary().commit(outages.change(&login.id, &landed, "a", "9"), now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    let newer = outages.in_primary(&login.id).await.unwrap();
    assert_eq!(newer.data.raw("a"), Some("9"), "something newer was overwritten");
}

#[tokio::test]
async fn a_lost_reply_to_a_logout_or_a_regeneration_is_still_one() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let (ended, old, new) = (outages.login(""), outages.login(""), outages.login(r#""userId":"u""#));
    fallback.create(ended.clone(), now).await.unwrap();
    fallback.create(old.clone(), now).await.unwrap();
    outages.set(Power::Lossy);
    fallback.replace(&old.id, now, new.clone(), now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    outages.set(Power::Lossy);
    fallback.destroy(&ended.id, EndReason::Destroyed, now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    assert!(outages.in_primary(&ended.id).await.is_none());
    assert!(outages.in_primary(&old.id).await.is_none());
    assert_eq!(outages.in_primary(&new.id).await.unwrap().data.raw("userId"), Some("\"u\""));
}

#[tokio::test]
async fn a_key_that_changed_on_both_sides_keeps_the_primarys_value() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    outages.set(Power::Lossy);
    let login = outages.login(r#""both":0,"ours":0"#);
    let base = fallback.create(login.clone(), now).await.unwrap();
    fallback.commit(outages.change(&login.id, &base, "both", "1"), now).await.unwrap();
    fallback.commit(outages.change(&login.id, &base, "ours", "1"), now).await.unwrap();
    let landed = outages.in_primary(&login.id).await.unwrap();
    outages.primary().commit(outages.change(&login.id, &landed, "both", "2"), now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    let merged = outages.in_primary(&login.id).await.unwrap();
    assert_eq!((merged.data.raw("both"), merged.data.raw("ours")), (Some("2"), Some("1")));
}

#[tokio::test]
async fn what_the_primary_has_ended_is_not_brought_back_by_the_spool() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    outages.set(Power::Lossy);
    let login = outages.login(r#""userId":"u""#);
    fallback.create(login.clone(), now).await.unwrap();
    outages.primary().destroy(&login.id, EndReason::Revoked, now).await.unwrap();
    outages.set(Power::On);
    outages.whole_again().await;
    assert!(outages.in_primary(&login.id).await.is_none());
    assert!(matches!(fallback.load(&login.id, now).await.unwrap(), Lookup::Absent(Absence::Ended)));
}

#[tokio::test]
async fn a_restart_in_the_middle_of_an_outage_loses_nothing() {
    let mut outages = Outages::begin(Power::On).await;
    let now = outages.now();
    let (before, during) = (outages.login(""), outages.login(r#""k":1"#));
    outages.fallback().create(before.clone(), now).await.unwrap();
    outages.set(Power::Off);
    outages.fallback().create(during.clone(), now).await.unwrap();
    outages.fallback().destroy(&before.id, EndReason::Destroyed, now).await.unwrap();
    outages.restart().await;
    let fallback = outages.fallback();
    assert!(fallback.info().degraded.is_some());
    assert!(matches!(fallback.load(&during.id, now).await.unwrap(), Lookup::Live(_)));
    assert!(matches!(fallback.load(&before.id, now).await.unwrap(), Lookup::Absent(Absence::Ended)));
    outages.set(Power::On);
    outages.whole_again().await;
    assert_eq!(outages.in_primary(&during.id).await.unwrap().data.raw("k"), Some("1"));
    assert!(outages.in_primary(&before.id).await.is_none());
}

#[tokio::test]
async fn each_process_has_its_own_file_and_inherits_from_those_that_are_gone() {
    let mut outages = Outages::begin(Power::Off).await;
    let now = outages.now();
    let second = outages.open_beside().await;
    let (a, b, both) = (outages.login(r#""by":1"#), outages.login(r#""by":2"#), outages.login(""));
    outages.fallback().create(a.clone(), now).await.unwrap();
    second.create(b.clone(), now).await.unwrap();
    second.create(both.clone(), now).await.unwrap();
    outages.fallback().destroy(&both.id, EndReason::Destroyed, now).await.unwrap();
    assert_eq!(outages.files(), ["spool-2.db", "spool.db"]);
    drop(second);
    outages.restart().await;
    assert_eq!(outages.files(), ["spool.db"], "the orphan was taken over and removed");
    let found = outages.fallback().load(&both.id, now).await.unwrap();
    assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
    outages.set(Power::On);
    outages.whole_again().await;
    assert_eq!(outages.in_primary(&a.id).await.unwrap().data.raw("by"), Some("1"));
    assert_eq!(outages.in_primary(&b.id).await.unwrap().data.raw("by"), Some("2"));
    assert!(outages.in_primary(&both.id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_while_the_spool_is_drained() {
    const SESSIONS: usize = 40;
    const ROUNDS: usize = 30;
    let outages = Outages::begin(Power::Off).await;
    let now = outages.now();
    let mut writers = Vec::new();
    for _ in 0..SESSIONS {
        let login = outages.login("");
        let mut seen = outages.fallback().create(login.clone(), now).await.unwrap();
        let (store, outages) = (outages.store(), outages.tools());
        writers.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let change = outages.change(&login.id, &seen, &format!("r{round}"), "1");
                // Answered or repeated: a change that is not acknowledged may be made again.
                let deadline = tokio::time::Instant::now() + PATIENCE;
                seen = loop {
                    assert!(tokio::time::Instant::now() < deadline, "the change is never taken");
                    match store.commit(change.clone(), now).await {
                        Ok(stored) => break stored,
                        Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                };
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            login.id
        }));
    }
    for power in [Power::On, Power::Off, Power::On, Power::Lossy, Power::On] {
        outages.set(power);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    for writer in writers {
        let id = writer.await.unwrap();
        outages.whole_again().await;
        let stored = outages.in_primary(&id).await.unwrap();
        let kept = (0..ROUNDS).filter(|round| stored.data.raw(&format!("r{round}")) == Some("1")).count();
        assert_eq!(kept, ROUNDS, "acknowledged changes were lost");
    }
}

#[tokio::test]
async fn lists_and_revocations_need_the_primary_unless_the_session_is_here() {
    let outages = Outages::begin(Power::On).await;
    let (fallback, now) = (outages.fallback(), outages.now());
    let user = UserId::parse("u").unwrap();
    let (there, here) = (outages.login(r#""userId":"u""#), outages.login(r#""userId":"u""#));
    fallback.create(there.clone(), now).await.unwrap();
    outages.set(Power::Off);
    fallback.create(here.clone(), now).await.unwrap();
    assert!(matches!(fallback.list(&user, now).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(fallback.revoke_all(&user, Some(&here.id), now).await, Err(StoreError::Unavailable(_))));
    assert!(fallback.revoke(&user, &there.id.handle(), now).await.is_err());
    assert_eq!(fallback.revoke(&user, &here.id.handle(), now).await.unwrap(), Revoked::Yes);
    assert!(matches!(fallback.load(&here.id, now).await.unwrap(), Lookup::Absent(Absence::Ended)));
    outages.set(Power::On);
    outages.whole_again().await;
    let listed = fallback.list(&user, now).await.unwrap();
    assert_eq!(listed.into_iter().map(|l| l.handle).collect::<Vec<_>>(), [there.id.handle()]);
    assert_eq!(fallback.revoke_all(&user, None, now).await.unwrap(), 1);
}

/// What the model knows of a session: acknowledged changes, and those whose outcome is unknown.
#[derive(Default)]
struct Known {
    keys: HashMap<String, String>,
    ended: bool,
    perhaps_ended: bool,
}

#[derive(Debug, Clone)]
enum Step {
    SignIn,
    Change(usize),
    Renew(usize),
    LogOut(usize),
    Power(u8),
    Restart,
    Pause,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::SignIn),
        6 => (0_usize..64).prop_map(Step::Change),
        3 => (0_usize..64).prop_map(Step::Renew),
        3 => (0_usize..64).prop_map(Step::LogOut),
        3 => (0_u8..3).prop_map(Step::Power),
        1 => Just(Step::Restart),
        2 => Just(Step::Pause),
    ];
    prop::collection::vec(step, 1..60)
}

async fn play(steps: Vec<Step>) {
    let mut outages = Outages::begin(Power::On).await;
    let now = outages.now();
    let mut sessions: Vec<(NewLogin, Known)> = Vec::new();
    for (n, step) in steps.into_iter().enumerate() {
        let fallback = outages.fallback();
        let at = |n: usize| if sessions.is_empty() { None } else { Some(n % sessions.len()) };
        match step {
            Step::Power(power) => outages.set([Power::On, Power::Off, Power::Lossy][usize::from(power)]),
            Step::Restart => {
                drop(fallback);
                outages.restart().await;
            }
            Step::Pause => tokio::time::sleep(Duration::from_millis(5)).await,
            Step::SignIn => {
                let login = outages.login("");
                if fallback.create(login.clone(), now).await.is_ok() {
                    sessions.push((login, Known::default()));
                }
            }
            Step::Change(which) => {
                let Some(which) = at(which) else { continue };
                let (login, known) = &mut sessions[which];
                let Ok(Lookup::Live(base)) = fallback.load(&login.id, now).await else { continue };
                assert!(!known.ended, "step {n}: an ended session is live");
                let key = format!("k{n}");
                let change = outages.change(&login.id, &base, &key, "1");
                if base.retires_at.is_none() && fallback.commit(change, now).await.is_ok() {
                    known.keys.insert(key, "1".to_owned());
                }
            }
            Step::Renew(which) => {
                let Some(which) = at(which) else { continue };
                let (login, known) = &mut sessions[which];
                let next = NewLogin { id: new_id(), ..login.clone() };
                // As a request does: an absent session is not regenerated, one that cannot be read may be.
                let loaded = fallback.load(&login.id, now).await;
                if matches!(loaded, Ok(Lookup::Absent(_))) {
                    continue;
                }
                assert!(loaded.is_err() || !known.ended, "step {n}: an ended session is live");
                match fallback.replace(&login.id, now, next.clone(), now).await {
                    Ok(_) => {
                        known.ended = true;
                        sessions.push((next, Known::default()));
                    }
                    Err(StoreError::Gone) => assert!(known.ended || known.perhaps_ended, "step {n}"),
                    Err(_) => known.perhaps_ended = true,
                }
            }
            Step::LogOut(which) => {
                let Some(which) = at(which) else { continue };
                let (login, known) = &mut sessions[which];
                match fallback.destroy(&login.id, EndReason::Destroyed, now).await {
                    Ok(()) => known.ended = true,
                    Err(_) => known.perhaps_ended = true,
                }
            }
        }
    }
    outages.set(Power::On);
    outages.whole_again().await;
    verify(&outages, sessions).await;
}

async fn verify(outages: &Outages, sessions: Vec<(NewLogin, Known)>) {
    for (login, known) in sessions {
        match outages.in_primary(&login.id).await {
            None => assert!(known.ended || known.perhaps_ended, "an acknowledged session is lost"),
            Some(stored) => {
                assert!(!known.ended, "an ended session is live");
                for (key, value) in known.keys {
                    assert_eq!(stored.data.raw(&key), Some(value.as_str()), "an acknowledged change is lost");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_acknowledged_state_holds_after_any_outages(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
