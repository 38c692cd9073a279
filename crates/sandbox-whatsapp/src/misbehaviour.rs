//! What the stand-in can do wrong on request, and how often.
//!
//! A switch is good for one use, for several, or until it is taken away, everywhere or for one number or device.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use whatsapp_rust::wacore_binary::Node;

use crate::address::Device;
use crate::protocol::stanza;
use crate::server::world::State;

/// The most switches at once.
pub(crate) const SWITCHES_MAX: usize = 64;
/// The longest delay.
pub(crate) const DELAY_MS_MAX: u64 = 600_000;
/// The most uses of one switch, unless it stands.
pub(crate) const TIMES_MAX: u32 = 100_000;

/// One way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// A device that is or comes in is told that another connection has taken its place.
    Replaced,
    /// A device that is or comes in is told that the phone has removed it. It stays linked: see `Phone::unlink`.
    DeviceRemoved,
    /// A device that is or comes in is told 503 and the connection ends.
    Unavailable,
    /// A login is refused with 401.
    Unauthorized,
    /// Linking goes on only after the client has answered with a passkey.
    Passkey,
    /// A client that wants to be linked is given no QR codes at all.
    NoQrCodes,
    /// What a device sends is read and nothing is answered or passed on.
    Silent,
    /// Everything that a device sends is looked at `delay_ms` later.
    Slow,
    /// Messages are read by who they are for, who says neither that they came nor that they were read.
    WithholdReceipts,
    /// Messages are passed on and not acknowledged by the server.
    WithholdAcks,
    /// The connection breaks, without a goodbye, at a device's stanza number `frames`, which is not looked at.
    Cut,
}

impl Misbehaviour {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Replaced,
        Self::DeviceRemoved,
        Self::Unavailable,
        Self::Unauthorized,
        Self::Passkey,
        Self::NoQrCodes,
        Self::Silent,
        Self::Slow,
        Self::WithholdReceipts,
        Self::WithholdAcks,
        Self::Cut,
    ];

    /// How often it happens unless something else is said: a state lasts, an event happens once.
    fn usually(self) -> Lasts {
        match self {
            Self::Silent | Self::Slow | Self::WithholdReceipts | Self::WithholdAcks => Lasts::Standing,
            _ => Lasts::Times(1),
        }
    }
}

/// How long a switch lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// For so many uses.
    Times(u32),
    /// Until it is taken away.
    Standing,
}

/// A misbehaviour with its settings. On the wire a bare name, or an object with `kind` and what is to differ:
/// `{"kind": "cut", "frames": 5, "on": "491700000001"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Switch {
    /// What to do wrong.
    pub kind: Misbehaviour,
    /// How often.
    pub lasts: Lasts,
    /// Only for this number, or this `number:device`.
    pub on: Option<String>,
    /// How long, where it is about time.
    pub delay_ms: u64,
    /// Where, where it is about a stanza: 1 is the connection's first after it has logged in.
    pub frames: u64,
}

impl Switch {
    /// As often as is usual for the kind.
    #[must_use]
    pub fn new(kind: Misbehaviour) -> Self {
        Self { kind, lasts: kind.usually(), on: None, delay_ms: 500, frames: 1 }
    }

    /// Good for so many uses.
    #[must_use]
    pub fn times(kind: Misbehaviour, times: u32) -> Self {
        Self { lasts: Lasts::Times(times), ..Self::new(kind) }
    }

    /// Good until it is taken away.
    #[must_use]
    pub fn standing(kind: Misbehaviour) -> Self {
        Self { lasts: Lasts::Standing, ..Self::new(kind) }
    }

    /// Only for this number, or this `number:device`.
    #[must_use]
    pub fn on(mut self, whom: impl Into<String>) -> Self {
        self.on = Some(whom.into());
        self
    }

    /// How long.
    #[must_use]
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    /// At which stanza of a connection.
    #[must_use]
    pub fn frames(mut self, frames: u64) -> Self {
        self.frames = frames;
        self
    }

    fn check(&self) -> Result<(), SwitchError> {
        if matches!(self.lasts, Lasts::Times(times) if times > TIMES_MAX) {
            return Err(SwitchError::Times);
        }
        if self.delay_ms > DELAY_MS_MAX { Err(SwitchError::Delay) } else { Ok(()) }
    }

    fn applies(&self, kind: Misbehaviour, device: Option<&Device>) -> bool {
        let whom = |on: &str| device.is_some_and(|device| on == device.number || on == device.to_string());
        self.kind == kind && self.on.as_deref().is_none_or(whom)
    }
}

/// Why a switch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// Too many uses.
    #[error("at most {TIMES_MAX} times; for longer, make it standing")]
    Times,
    /// Too long.
    #[error("at most {DELAY_MS_MAX} ms of delay")]
    Delay,
    /// Too many switches.
    #[error("at most {SWITCHES_MAX} switches at once; clear them first")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    Name(Misbehaviour),
    Full(Settings),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    kind: Misbehaviour,
    times: Option<u32>,
    #[serde(default)]
    standing: bool,
    on: Option<String>,
    delay_ms: Option<u64>,
    frames: Option<u64>,
}

impl TryFrom<Wire> for Switch {
    type Error = SwitchError;

    fn try_from(wire: Wire) -> Result<Self, SwitchError> {
        let settings = match wire {
            Wire::Name(kind) => return Ok(Self::new(kind)),
            Wire::Full(settings) => settings,
        };
        let plain = Self::new(settings.kind);
        let lasts = match settings.times {
            _ if settings.standing => Lasts::Standing,
            Some(times) => Lasts::Times(times),
            None => plain.lasts,
        };
        let switch = Self {
            lasts,
            on: settings.on,
            delay_ms: settings.delay_ms.unwrap_or(plain.delay_ms),
            frames: settings.frames.unwrap_or(plain.frames),
            ..plain
        };
        switch.check().map(|()| switch)
    }
}

/// What is switched on, and which numbers are not on WhatsApp.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    active: Vec<Switch>,
    unregistered: BTreeSet<String>,
}

impl Switches {
    pub(crate) fn add(&mut self, switch: Switch) -> Result<(), SwitchError> {
        switch.check()?;
        if self.active.len() >= SWITCHES_MAX {
            return Err(SwitchError::TooMany);
        }
        if switch.lasts != Lasts::Times(0) {
            self.active.push(switch);
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    pub(crate) fn active(&self) -> Vec<Switch> {
        self.active.clone()
    }

    /// The switch that applies, used up by one.
    pub(crate) fn take(&mut self, kind: Misbehaviour, device: Option<&Device>) -> Option<Switch> {
        let at = self.active.iter().position(|switch| switch.applies(kind, device))?;
        Some(self.take_at(at))
    }

    /// Whether a connection breaks at its stanza of this number.
    pub(crate) fn take_cut(&mut self, device: Option<&Device>, frames: u64) -> bool {
        let cuts = |switch: &Switch| switch.applies(Misbehaviour::Cut, device) && frames >= switch.frames;
        self.active.iter().position(cuts).map(|at| self.take_at(at)).is_some()
    }

    fn take_at(&mut self, at: usize) -> Switch {
        let taken = self.active[at].clone();
        if let Lasts::Times(left) = &mut self.active[at].lasts {
            *left -= 1;
            if *left == 0 {
                self.active.remove(at);
            }
        }
        taken
    }

    pub(crate) fn is_unregistered(&self, number: &str) -> bool {
        self.unregistered.contains(number)
    }

    pub(crate) fn unregister(&mut self, number: &str) {
        self.unregistered.insert(number.to_owned());
    }
}

/// Does to a device that is logged in what is to be done to it at once.
pub(crate) fn strike(state: &mut State, device: &Device) {
    let blows = [
        (Misbehaviour::Replaced, stanza::stream_error(None, Some(stanza::conflict("replaced")))),
        (Misbehaviour::DeviceRemoved, removed()),
        (Misbehaviour::Unavailable, stanza::stream_error(Some(503), None)),
    ];
    for (kind, last_word) in blows {
        if state.connection_of(device).is_none() {
            return;
        }
        if state.switches.take(kind, Some(device)).is_none() {
            continue;
        }
        if let Some(connection) = state.connection_of(device) {
            connection.send_last(last_word);
        }
        if let Some(companion) = state.companion_mut(device) {
            companion.connection = None;
        }
    }
}

/// What a device hears last when its phone has removed it.
pub(crate) fn removed() -> Node {
    stanza::stream_error(Some(401), Some(stanza::conflict("device_removed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_a_name_or_an_object() {
        let all: Vec<Switch> = serde_json::from_str(
            r#"["passkey", {"kind": "cut", "frames": 5, "on": "49170:2", "times": 2}, {"kind": "slow", "delay_ms": 9}]"#,
        )
        .unwrap();
        assert_eq!(all[0], Switch::new(Misbehaviour::Passkey));
        assert_eq!(all[1], Switch::times(Misbehaviour::Cut, 2).frames(5).on("49170:2"));
        assert_eq!(all[2], Switch::standing(Misbehaviour::Slow).delay_ms(9));
        for wrong in
            [r#"["nothing"]"#, r#"[{"kind": "slow", "delay_ms": 999999999}]"#, r#"[{"kind": "cut", "x": 1}]"#]
        {
            assert!(serde_json::from_str::<Vec<Switch>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_is_used_up_where_it_applies() {
        let mut switches = Switches::default();
        let (mine, other) = (Device::new("49170", 2), Device::new("49171", 2));
        switches.add(Switch::times(Misbehaviour::Unauthorized, 2).on("49170")).unwrap();
        assert!(switches.take(Misbehaviour::Unauthorized, Some(&other)).is_none());
        assert!(switches.take(Misbehaviour::Silent, Some(&mine)).is_none());
        assert!(switches.take(Misbehaviour::Unauthorized, Some(&mine)).is_some());
        assert!(switches.take(Misbehaviour::Unauthorized, Some(&mine)).is_some());
        assert!(switches.take(Misbehaviour::Unauthorized, Some(&mine)).is_none());
        switches.add(Switch::new(Misbehaviour::Cut).frames(3)).unwrap();
        assert!(!switches.take_cut(Some(&mine), 2));
        assert!(switches.take_cut(Some(&mine), 3));
        assert!(!switches.take_cut(Some(&mine), 4));
    }
}
