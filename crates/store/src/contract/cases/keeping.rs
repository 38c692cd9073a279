//! What is stored is what comes back: create, load, commit and touch, one caller at a time.

use crate::contract::harness::{HOUR, Must, TestStore, change, entries_of, new_id};
use futures_util::future::join_all;
use sessile_core::StoreError;
use sessile_core::login::{Absence, LoginId, Lookup, Merge, NewLogin, Persistence};

/// Key order, an integer beyond 2^53, a float that prints as an integer, NUL, emoji, nesting, an empty key.
const HARD: &str = r#""z":1,"a":{"y":[1,2.0,null],"b":"\u0000"},"n":9007199254740993,"f":1.0,"big":1e300,"e":"é😀\"\\","":true"#;

pub(crate) async fn create_then_load_gives_it_back(test: &TestStore) {
    let login = test.login(HARD);
    let (id, json) = (login.id.clone(), login.data.to_json());
    assert!(json.ends_with(&format!("{HARD}}}")), "the case's own JSON did not survive parsing: {json}");
    assert!(matches!(test.store.load(&id, test.base).await, Ok(Lookup::Absent(Absence::Unknown))));

    let created = test.store.create(login, test.base).await.must("create");
    let loaded = test.live(&id, test.base).await.must("the session just created");
    for stored in [&created, &loaded] {
        assert_eq!(stored.data.to_json(), json, "not byte for byte what was stored");
        assert_eq!((stored.expires_at, stored.retires_at), (test.base.plus(HOUR), None));
    }
    assert_eq!(created.version, loaded.version);

    // What a commit does not touch stays byte for byte, too.
    let set = change(&id, &loaded, &[("new", Some("1")), ("f", None)]);
    let committed = test.store.commit(set, test.base).await.must("commit");
    let expected = format!("{},\"new\":1", HARD.replace(r#""f":1.0,"#, ""));
    assert_eq!(entries_of(&committed), expected);
    let reloaded = test.live(&id, test.base).await.must("the session just changed");
    assert_eq!(reloaded.data.to_json(), committed.data.to_json());
    assert_eq!(reloaded.version, committed.version);
    assert_ne!(reloaded.version, created.version, "a change has to change the version");
}

pub(crate) async fn create_refuses_a_taken_id(test: &TestStore) {
    let (id, _) = test.given(r#""owner":"first""#).await;
    let second = NewLogin { id: id.clone(), ..test.login(r#""owner":"second""#) };
    let answer = test.store.create(second, test.base).await;
    assert!(matches!(answer, Err(StoreError::Taken)), "{answer:?}");
    assert_eq!(test.entries(&id, test.base).await, r#""owner":"first""#);
}

pub(crate) async fn create_refuses_an_ended_id(test: &TestStore) {
    let (id, _) = test.given(r#""userId":"u""#).await;
    let destroyed = sessile_core::login::EndReason::Destroyed;
    test.store.destroy(&id, destroyed, test.base).await.must("destroy");
    // An id that was ended before it ever arrived: the logout overtook the sign-in.
    let early = new_id();
    test.store.destroy(&early, destroyed, test.base).await.must("destroy");
    for id in [id, early] {
        let again = NewLogin { id: id.clone(), ..test.login(r#""userId":"u""#) };
        let answer = test.store.create(again, test.base).await;
        assert!(matches!(answer, Err(StoreError::Taken)), "an ended id was given out again: {answer:?}");
        let found = test.store.load(&id, test.base).await.must("load");
        assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
    }
}

pub(crate) async fn commit_merges_disjoint_keys(test: &TestStore) {
    let (id, base) = test.given(r#""kept":0,"gone":0"#).await;
    let (one, two) = (change(&id, &base, &[("one", Some("1"))]), change(&id, &base, &[("two", Some("2"))]));
    test.store.commit(one, test.base).await.must("the first commit");
    let answer = test.store.commit(two, test.base).await.must("the second commit");
    assert_eq!(
        entries_of(&answer),
        r#""kept":0,"gone":0,"one":1,"two":2"#,
        "the answer shows what is stored"
    );
    let removal = change(&id, &base, &[("gone", None)]);
    test.store.commit(removal, test.base).await.must("a removal");
    assert_eq!(test.entries(&id, test.base).await, r#""kept":0,"one":1,"two":2"#);
}

pub(crate) async fn same_key_last_commit_wins(test: &TestStore) {
    let (id, base) = test.given(r#""k":0"#).await;
    for value in ["1", "2", "3"] {
        test.store.commit(change(&id, &base, &[("k", Some(value))]), test.base).await.must("commit");
    }
    assert_eq!(test.entries(&id, test.base).await, r#""k":3"#);
}

pub(crate) async fn strict_commit_conflicts_when_keys_changed_but_not_after_a_touch(test: &TestStore) {
    let (id, base) = test.given(r#""k":0"#).await;
    let strict = |value| {
        let mut change = change(&id, &base, &[("k", Some(value))]);
        change.merge = Merge::Strict;
        change
    };
    test.store.touch(&id, test.after(7200), test.base).await.must("touch");
    test.store.commit(strict("1"), test.base).await.must("a strict commit after a touch");
    let answer = test.store.commit(strict("2"), test.base).await;
    assert!(matches!(answer, Err(StoreError::Conflict)), "{answer:?}");
    assert_eq!(test.entries(&id, test.base).await, r#""k":1"#, "a conflict changes nothing");
}

pub(crate) async fn oversize_is_refused_and_changes_nothing(test: &TestStore) {
    let (id, base) = test.given(r#""k":0"#).await;
    let long = format!("\"{}\"", "x".repeat(5000));
    let mut large = change(&id, &base, &[("k", Some(&long))]);
    large.bytes_max = 4096;
    let small = change(&id, &base, &[("small", Some("1"))]);
    let (answer, neighbour) =
        tokio::join!(test.store.commit(large, test.base), test.store.commit(small, test.base));
    assert!(matches!(answer, Err(StoreError::TooLarge { bytes, limit: 4096 }) if bytes > 5000), "{answer:?}");
    neighbour.must("the small change beside the large one");
    assert_eq!(test.entries(&id, test.base).await, r#""k":0,"small":1"#);
}

pub(crate) async fn touch_never_moves_back(test: &TestStore) {
    let (id, _) = test.given(r#""k":0"#).await;
    let expiry = async || test.live(&id, test.base).await.must("live").expires_at;
    test.store.touch(&id, test.after(7200), test.base).await.must("a touch forward");
    assert_eq!(expiry().await, test.after(7200));
    test.store.touch(&id, test.after(5400), test.base).await.must("a touch back");
    assert_eq!(expiry().await, test.after(7200), "a late touch took time away");
    let (a, b, c) = tokio::join!(
        test.store.touch(&id, test.after(8000), test.base),
        test.store.touch(&id, test.after(9000), test.base),
        test.store.touch(&id, test.after(8500), test.base),
    );
    [a, b, c].into_iter().for_each(|answer| answer.must("touches at the same time"));
    assert_eq!(expiry().await, test.after(9000));
    assert_eq!(test.entries(&id, test.base).await, r#""k":0"#, "a touch changes no key");
    assert!(test.live(&id, test.after(8999)).await.is_some());
}

pub(crate) async fn ids_that_look_alike_are_different(test: &TestStore) {
    assert!(LoginId::parse("sé").is_none() && LoginId::parse("a b").is_none(), "refused by the type");
    let stem = new_id();
    let stem = stem.expose();
    let long = format!("{stem}{}", "x".repeat(255 - stem.len()));
    let shapes = [
        "a", "A", "a%", "a_", "a\\", "a'", "a\"", "a''--", "a;", "a*", "a?", "a[b]", "{a}", "a:b", "a$1",
        "a%00", "a/../b", "a,b", "0x61",
    ];
    let texts = shapes.iter().map(|shape| format!("{shape}{stem}")).chain([
        stem.to_owned(),
        stem.to_ascii_lowercase(),
        format!("{stem}%"),
        long,
    ]);
    let ids: Vec<LoginId> = texts.filter_map(|text| LoginId::parse(&text)).collect();
    assert_eq!(ids.len(), shapes.len() + 4);
    for (n, id) in ids.iter().enumerate() {
        let login = NewLogin { id: id.clone(), ..test.login(&format!("\"n\":{n}")) };
        test.store.create(login, test.base).await.must(id.expose());
    }
    let found = join_all(ids.iter().map(|id| test.entries(id, test.base))).await;
    for (n, entries) in found.iter().enumerate() {
        assert_eq!(*entries, format!("\"n\":{n}"), "{}", ids[n].expose());
    }
    let destroyed = sessile_core::login::EndReason::Destroyed;
    test.store.destroy(&ids[0], destroyed, test.base).await.must("destroy");
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(test.live(id, test.base).await.is_some(), n > 0, "{}", id.expose());
    }
}

pub(crate) async fn one_bad_row_does_not_fail_its_neighbours(test: &TestStore) {
    let Some(corrupt) = &test.capabilities.corrupt else {
        let kept = test.store.info().persistence;
        assert_eq!(
            kept,
            Persistence::Ephemeral,
            "a stored row can be damaged: say how in `Capabilities::corrupt`"
        );
        return;
    };
    let (a, base_a) = test.given(r#""userId":"u""#).await;
    let (bad, base_bad) = test.given(r#""userId":"u""#).await;
    let (c, base_c) = test.given(r#""userId":"u""#).await;
    corrupt(bad.clone()).await;

    for _ in 0..2 {
        let loads = join_all([&a, &bad, &c].map(|id| test.store.load(id, test.base))).await;
        let [found_a, found, found_c] = <[_; 3]>::try_from(loads).must("three answers");
        assert!(matches!((found_a, found_c), (Ok(Lookup::Live(_)), Ok(Lookup::Live(_)))));
        match found {
            Ok(Lookup::Absent(Absence::Undecodable(place))) => {
                assert!(!place.contains(bad.expose()), "the place shows the id: {place}");
            }
            other => panic!("a damaged row is reported as such and kept: {other:?}"),
        }
        let set = [("k", Some("1"))];
        let commits = [(&a, &base_a), (&bad, &base_bad), (&c, &base_c)]
            .map(|(id, base)| test.store.commit(change(id, base, &set), test.base));
        let answers = join_all(commits).await;
        assert!(matches!(answers[1], Err(StoreError::Undecodable { .. })), "{:?}", answers[1]);
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    }
}

pub(crate) async fn what_was_acknowledged_survives_a_restart(test: &TestStore) {
    let Some(reopen) = &test.capabilities.reopen else {
        let kept = test.store.info().persistence;
        assert_eq!(
            kept,
            Persistence::Ephemeral,
            "a durable store comes back: say how in `Capabilities::reopen`"
        );
        return;
    };
    let (id, base) = test.given(r#""k":0"#).await;
    let (gone, _) = test.given("").await;
    test.store.commit(change(&id, &base, &[("k", Some("1"))]), test.base).await.must("commit");
    test.store.touch(&id, test.after(7200), test.base).await.must("touch");
    let destroyed = sessile_core::login::EndReason::Destroyed;
    test.store.destroy(&gone, destroyed, test.base).await.must("destroy");

    let store = reopen().await;
    match store.load(&id, test.after(7000)).await.must("load after the restart") {
        Lookup::Live(stored) => assert_eq!(entries_of(&stored), r#""k":1"#),
        lost @ Lookup::Absent(_) => panic!("an acknowledged session was lost: {lost:?}"),
    }
    let found = store.load(&gone, test.base).await.must("load after the restart");
    assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
}
