//! Many writers at once: every acknowledged change is there afterwards.

use crate::contract::harness::{Must, TestStore, change};
use sessile_core::StoreError;
use sessile_core::login::NewLogin;

/// Measured on express-session with connect-pg-simple: one of twenty survives.
pub(crate) async fn many_writers_lose_no_update(test: &TestStore) {
    let (id, base) = test.given(r#""k":0"#).await;
    let writers: Vec<_> = (0..20)
        .map(|n| {
            let (store, now, key) = (test.store.clone(), test.base, format!("w{n}"));
            let edit = change(&id, &base, &[(&key, Some("1"))]);
            tokio::spawn(async move { store.commit(edit, now).await })
        })
        .collect();
    for (n, writer) in writers.into_iter().enumerate() {
        let answer = writer.await.must("a writer").must("commit");
        assert_eq!(answer.data.raw(&format!("w{n}")), Some("1"), "the answer lacks its own change");
    }
    let stored = test.live(&id, test.base).await.must("live");
    let survivors = (0..20).filter(|n| stored.data.raw(&format!("w{n}")) == Some("1")).count();
    assert_eq!(survivors, 20, "updates were lost");
}

pub(crate) async fn many_rounds_lose_no_update(test: &TestStore) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 25;
    let (id, base) = test.given("").await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, now, id, mut seen) = (test.store.clone(), test.base, id.clone(), base.clone());
            tokio::spawn(async move {
                let key = format!("t{task}");
                for round in 0..ROUNDS {
                    if round > 0 {
                        let mine = seen.data.raw(&key).map(str::to_owned);
                        assert_eq!(mine, Some((round - 1).to_string()), "own change of the round before");
                    }
                    let edit = change(&id, &seen, &[(&key, Some(&round.to_string()))]);
                    seen = store.commit(edit, now).await.must("commit");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.must("a writer");
    }
    let stored = test.live(&id, test.base).await.must("live");
    let last = (ROUNDS - 1).to_string();
    for task in 0..TASKS {
        assert_eq!(stored.data.raw(&format!("t{task}")), Some(last.as_str()));
    }
}

pub(crate) async fn one_of_many_creators_wins(test: &TestStore) {
    for _ in 0..10 {
        let id = test.login("").id;
        let creators: Vec<_> = (0..6)
            .map(|n| {
                let (store, now) = (test.store.clone(), test.base);
                let login = NewLogin { id: id.clone(), ..test.login(&format!("\"n\":{n}")) };
                tokio::spawn(async move { store.create(login, now).await })
            })
            .collect();
        let mut winners = Vec::new();
        for creator in creators {
            match creator.await.must("a creator") {
                Ok(stored) => winners.push(stored),
                Err(error) => assert!(matches!(error, StoreError::Taken), "{error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let stored = test.live(&id, test.base).await.must("live");
        assert_eq!(stored.data.to_json(), winners[0].data.to_json());
    }
}
