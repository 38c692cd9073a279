//! A device's connection on a page: every state and every event, as a snapshot; and what it means, as properties.

use proptest::prelude::*;
use sessile_core::whatsapp::Wanted;
use sessile_core::whatsapp::connection::{
    Chance, Connection, ConnectionEvent, ConnectionState, Doubt, Effect, Effort, RECONNECTS_MAX, backoff,
};
use std::fmt::Write as _;
use std::time::Duration;

const EVENTS: [ConnectionEvent; 18] = {
    use ConnectionEvent as E;
    [
        E::Start,
        E::Stop,
        E::Reconnect,
        E::Logout,
        E::RetryDue,
        E::QrShown,
        E::QrUsedUp,
        E::PasskeyDemanded,
        E::Authenticated,
        E::Ready,
        E::Lost,
        E::Unauthorized,
        E::Replaced,
        E::Broken,
        E::StorageLost,
        E::StorageRefused,
        E::StorageBack,
        E::Fenced,
    ]
};

fn states() -> Vec<(&'static str, ConnectionState)> {
    use ConnectionState as S;
    let effort = |attempt, doubt| Effort { attempt, doubt };
    vec![
        ("idle", S::Idle),
        ("connecting", S::Connecting(effort(0, Doubt::None))),
        ("connecting 5", S::Connecting(effort(5, Doubt::None))),
        ("connecting 1, refused", S::Connecting(effort(1, Doubt::RefusedOnce))),
        ("waiting 2", S::Waiting(effort(2, Doubt::None))),
        ("waiting 2, refused", S::Waiting(effort(2, Doubt::RefusedOnce))),
        ("qr", S::QrReady(effort(0, Doubt::None))),
        ("qr used up", S::QrUsedUp),
        ("passkey", S::PasskeyRequired(effort(0, Doubt::None))),
        ("authenticated", S::Authenticated),
        ("ready", S::Ready),
        ("degraded", S::Degraded),
        ("unusable", S::Unusable),
        ("replaced", S::Replaced),
        ("logged out", S::LoggedOut),
        ("exhausted", S::Exhausted),
        ("failed", S::Failed),
    ]
}

fn running(state: ConnectionState) -> Connection {
    Connection { wanted: Wanted::Running, state }
}

fn effect_name(effect: &Effect) -> String {
    match effect {
        Effect::Connect => "connect".to_owned(),
        Effect::Disconnect => "disconnect".to_owned(),
        Effect::RetryAfter(wait) => format!("retry in {} s", wait.as_secs_f32()),
        Effect::Unlink => "unlink".to_owned(),
        Effect::DestroyKeys => "destroy keys".to_owned(),
        Effect::Want(Wanted::Running) => "want it".to_owned(),
        Effect::Want(Wanted::Stopped) => "do not want it".to_owned(),
    }
}

fn state_name(state: ConnectionState) -> String {
    let Effort { attempt, doubt } = state.effort();
    let attempt = if attempt > 0 { format!(" {attempt}") } else { String::new() };
    let doubt = if doubt == Doubt::RefusedOnce { ", refused once" } else { "" };
    format!("{}{attempt}{doubt}", state.status())
}

#[test]
fn the_connection_on_a_page() {
    let mut page = String::new();
    for (name, state) in states() {
        let _ = writeln!(page, "{name} ({})", state.status());
        for event in EVENTS {
            let decided = running(state).on(event, Chance(0));
            let effects: Vec<String> = decided.effects.iter().map(effect_name).collect();
            if decided.next == running(state) && effects.is_empty() {
                continue;
            }
            let to =
                if decided.next.state == state { ".".to_owned() } else { state_name(decided.next.state) };
            let line = format!("  {:<16} > {to:<28} {}", format!("{event:?}"), effects.join(", "));
            let _ = writeln!(page, "{}", line.trim_end());
        }
    }
    insta::assert_snapshot!(page);
}

#[test]
fn a_device_that_was_stopped_on_purpose_stays_stopped() {
    let decided = running(ConnectionState::Ready).on(ConnectionEvent::Stop, Chance(0));
    assert_eq!(decided.next.wanted, Wanted::Stopped);
    let after_a_restart = Connection::found(decided.next.wanted).on(ConnectionEvent::Start, Chance(0));
    assert_eq!((after_a_restart.next.state, after_a_restart.effects), (ConnectionState::Idle, vec![]));
    let decided = Connection::found(Wanted::Stopped).on(ConnectionEvent::Reconnect, Chance(0));
    assert_eq!(decided.next.wanted, Wanted::Running);
    assert_eq!(decided.effects, [Effect::Want(Wanted::Running), Effect::Connect]);
}

#[test]
fn five_reconnects_in_a_row_and_then_a_person() {
    use {ConnectionEvent as E, ConnectionState as S};
    let mut connection = running(S::Ready);
    let mut connects = 0;
    loop {
        let lost = connection.on(E::Lost, Chance(u32::MAX / 2));
        connection = lost.next;
        if connection.state == S::Exhausted {
            break;
        }
        let due = connection.on(E::RetryDue, Chance(0));
        connects += due.effects.iter().filter(|effect| **effect == Effect::Connect).count();
        connection = due.next;
    }
    assert_eq!(connects, usize::from(RECONNECTS_MAX));
    assert_eq!(connection.state.status(), "max_reconnect_exceeded");
    let by_hand = connection.on(E::Reconnect, Chance(0)).next;
    assert_eq!(by_hand.state.effort(), Effort::default());
    let again = by_hand.on(E::Ready, Chance(0)).next.on(E::Lost, Chance(0)).next;
    assert_eq!(again.state.effort().attempt, 1, "a success counts from the beginning");
}

#[test]
fn one_refusal_is_confirmed_before_anything_is_deleted() {
    use {ConnectionEvent as E, ConnectionState as S};
    for state in [S::Ready, S::Authenticated, S::Connecting(Effort::default())] {
        let first = running(state).on(E::Unauthorized, Chance(0));
        assert!(!first.effects.contains(&Effect::DestroyKeys), "{state:?}");
        assert_eq!(first.next.state.status(), "auth_failure");
        let erred = first.next.on(E::Ready, Chance(0)).next.on(E::Unauthorized, Chance(0));
        assert!(!erred.effects.contains(&Effect::DestroyKeys), "the server had erred: it begins anew");
        let no_network = first.next.on(E::Lost, Chance(0)).next.on(E::RetryDue, Chance(0)).next;
        for doubted in [first.next, no_network] {
            let second = doubted.on(E::Unauthorized, Chance(0));
            assert!(second.effects.contains(&Effect::DestroyKeys));
            assert_eq!(second.next.state, S::LoggedOut);
        }
    }
}

#[test]
fn backoff_doubles_and_is_spread() {
    let seconds: Vec<(u64, u64)> = (1..=RECONNECTS_MAX)
        .map(|attempt| (backoff(attempt, Chance(0)).as_secs(), backoff(attempt, Chance(u32::MAX)).as_secs()))
        .collect();
    assert_eq!(seconds, [(1, 2), (2, 4), (4, 8), (8, 16), (16, 32)]);
    assert_eq!(backoff(200, Chance(0)), Duration::from_secs(16));
}

proptest! {
    /// Whatever happens: one connection at a time, no connection that was not wanted, and no reconnect by itself after
    /// what forbids one.
    #[test]
    fn one_connection_at_a_time(events in prop::collection::vec((0_usize..18, any::<u32>()), 0..60)) {
        use {ConnectionEvent as E, ConnectionState as S};
        let mut connection = Connection::found(Wanted::Running);
        let mut is_connected = false;
        for (event, chance) in events {
            let event = EVENTS[event];
            let before = connection;
            let decided = connection.on(event, Chance(chance));
            connection = decided.next;
            for effect in &decided.effects {
                match effect {
                    Effect::Connect => {
                        prop_assert!(!is_connected, "{before:?} {event:?}: a second connection");
                        prop_assert_eq!(connection.wanted, Wanted::Running);
                        is_connected = true;
                    }
                    Effect::Disconnect => is_connected = false,
                    _ => {}
                }
            }
            prop_assert_eq!(is_connected, connection.state.is_live(), "{:?} {:?}", before, event);
            let is_over = matches!(before.state, S::Replaced | S::LoggedOut | S::Exhausted | S::Failed | S::QrUsedUp);
            if is_over && !matches!(event, E::Reconnect) {
                prop_assert!(!is_connected, "{before:?} {event:?}: by itself");
            }
            let again = connection.on(event, Chance(chance));
            if !matches!(event, E::Lost | E::Unauthorized | E::Reconnect) {
                prop_assert_eq!(again.next, connection, "{:?} twice", event);
            }
        }
    }
}
