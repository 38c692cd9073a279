//! A misbehaviour switched on: how often, where, and how badly. The switches of Stripe's and SuperDuperAI's stand-ins;
//! CLICK's have settings of their own, and share their limits, how long they last, and the board that they stand on.
//!
//! A switch is good for one use, for several, or until it is taken away. It can be bound to one place by a label (a
//! route, a type of event, an id), so that things that run at the same time do not take each other's switches.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most uses one switch is good for, unless it stands.
pub const TIMES_MAX: u32 = 100_000;
/// The most switches at once.
pub const SWITCHES_MAX: usize = 64;
/// The most copies of one message.
pub const COPIES_MAX: u32 = 1000;
/// The most connections at once for copies of one message.
pub const CONNECTIONS_MAX: u32 = 64;
/// The longest delay.
pub const DELAY_MS_MAX: u64 = 600_000;
/// The longest message and label.
const TEXT_CHARS_MAX: usize = 500;

/// A set of names for what can go wrong.
pub trait Kind: Copy + PartialEq + Serialize + DeserializeOwned + 'static {
    /// Every kind, in the order a page shows them.
    const EVERY: &'static [Self];

    /// Its name on the wire.
    fn name(self) -> &'static str;

    /// The label it waits for unless it is told another one.
    fn usual_place(self) -> Option<&'static str>;
}

/// How long a switch lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// For so many uses.
    Times(u32),
    /// Until it is replaced.
    Standing,
}

impl Lasts {
    /// As the wire says it: once, unless it says otherwise.
    pub(crate) fn of_wire(times: Option<u32>, standing: bool) -> Self {
        if standing { Self::Standing } else { Self::Times(times.unwrap_or(1)) }
    }

    /// As a page's form says it: nothing is once.
    pub(crate) fn of_form(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::Times(1)),
            "standing" => Ok(Self::Standing),
            times => number("times", times).map(Self::Times),
        }
    }
}

/// How often and how long anything may misbehave.
pub(crate) struct Extent {
    pub(crate) lasts: Lasts,
    pub(crate) copies: u32,
    pub(crate) connections: u32,
    pub(crate) delay_ms: u64,
}

impl Extent {
    /// Refuses what is above the limits.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        if matches!(self.lasts, Lasts::Times(times) if times > TIMES_MAX) {
            return Err(format!("`{name}`: at most {TIMES_MAX} times; for longer, make it standing"));
        }
        if !(1..=COPIES_MAX).contains(&self.copies) || !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(format!(
                "`{name}`: 1 to {COPIES_MAX} copies over 1 to {CONNECTIONS_MAX} connections"
            ));
        }
        if self.delay_ms > DELAY_MS_MAX {
            return Err(format!("`{name}`: at most {DELAY_MS_MAX} ms"));
        }
        Ok(())
    }
}

/// Anything that can stand on a [`Board`].
pub(crate) trait Switched: Clone {
    /// Refuses what cannot be meant.
    fn check(&self) -> Result<(), String>;
    /// How long it lasts.
    fn lasts(&mut self) -> &mut Lasts;
}

/// A misbehaviour with its settings. On the wire a bare name, or an object with `kind` and what is to differ:
/// `{"kind": "duplicate", "copies": 5, "connections": 5, "on": "checkout.session.completed", "times": 3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire<K>", bound(serialize = "K: Kind", deserialize = "K: Kind"))]
pub struct Switch<K> {
    /// What to do wrong.
    pub kind: K,
    /// How often.
    pub lasts: Lasts,
    /// Only here: a route, a type of event, or an id; `None` is whatever comes next.
    pub on: Option<String>,
    /// Copies of a message, in all.
    pub copies: u32,
    /// How many of the copies at once.
    pub connections: u32,
    /// How long, where it is about time.
    pub delay_ms: u64,
    /// What is said, where something is said.
    pub message: Option<String>,
}

impl<K: Kind> Switch<K> {
    /// Good for one use.
    #[must_use]
    pub fn once(kind: K) -> Self {
        let on = kind.usual_place().map(str::to_owned);
        Self { kind, lasts: Lasts::Times(1), on, copies: 3, connections: 1, delay_ms: 500, message: None }
    }

    /// Good for so many uses.
    #[must_use]
    pub fn times(kind: K, times: u32) -> Self {
        Self { lasts: Lasts::Times(times), ..Self::once(kind) }
    }

    /// Good until it is taken away.
    #[must_use]
    pub fn standing(kind: K) -> Self {
        Self { lasts: Lasts::Standing, ..Self::once(kind) }
    }

    /// Only where this label applies: a route, a type of event, or an id.
    #[must_use]
    pub fn on(mut self, label: impl Into<String>) -> Self {
        self.on = Some(label.into());
        self
    }

    /// Wherever it can happen.
    #[must_use]
    pub fn anywhere(mut self) -> Self {
        self.on = None;
        self
    }

    /// So many copies in all, so many of them at once.
    #[must_use]
    pub fn copies(mut self, copies: u32, connections: u32) -> Self {
        (self.copies, self.connections) = (copies, connections);
        self
    }

    /// How long.
    #[must_use]
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    /// What is said.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

impl<K: Kind> Switched for Switch<K> {
    fn check(&self) -> Result<(), String> {
        let Self { lasts, copies, connections, delay_ms, .. } = *self;
        let name = self.kind.name();
        Extent { lasts, copies, connections, delay_ms }.check(name)?;
        if [&self.on, &self.message].into_iter().flatten().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(format!("`{name}`: `on` and `message` take at most {TEXT_CHARS_MAX} characters"));
        }
        Ok(())
    }

    fn lasts(&mut self) -> &mut Lasts {
        &mut self.lasts
    }
}

#[derive(Deserialize)]
#[serde(untagged, bound(deserialize = "K: Kind"))]
enum Wire<K> {
    Name(K),
    Full(Box<Settings<K>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "K: Kind"))]
struct Settings<K> {
    kind: K,
    times: Option<u32>,
    #[serde(default)]
    standing: bool,
    on: Option<String>,
    copies: Option<u32>,
    connections: Option<u32>,
    delay_ms: Option<u64>,
    message: Option<String>,
}

impl<K: Kind> TryFrom<Wire<K>> for Switch<K> {
    type Error = String;

    fn try_from(wire: Wire<K>) -> Result<Self, String> {
        let settings = match wire {
            Wire::Name(kind) => return Ok(Self::once(kind)),
            Wire::Full(settings) => *settings,
        };
        let plain = Self::once(settings.kind);
        let switch = Self {
            lasts: Lasts::of_wire(settings.times, settings.standing),
            on: settings.on.or(plain.on),
            copies: settings.copies.unwrap_or(plain.copies),
            connections: settings.connections.unwrap_or(plain.connections),
            delay_ms: settings.delay_ms.unwrap_or(plain.delay_ms),
            message: settings.message,
            ..plain
        };
        switch.check().map(|()| switch)
    }
}

/// What a page's form sends: text, where empty keeps the default.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "K: Kind"))]
pub(crate) struct SwitchForm<K> {
    kind: K,
    lasts: String,
    on: String,
    copies: String,
    connections: String,
    delay_ms: String,
    message: String,
}

impl<K: Kind> SwitchForm<K> {
    pub(crate) fn switch(self) -> Result<Switch<K>, String> {
        let mut switch = Switch { lasts: Lasts::of_form(&self.lasts)?, ..Switch::once(self.kind) };
        let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        switch.on = text(self.on).or(switch.on);
        switch.message = text(self.message);
        if let Some(copies) = text(self.copies) {
            switch.copies = number("copies", &copies)?;
        }
        if let Some(connections) = text(self.connections) {
            switch.connections = number("connections", &connections)?;
        }
        if let Some(delay_ms) = text(self.delay_ms) {
            switch.delay_ms = number("delay_ms", &delay_ms)?;
        }
        Ok(switch)
    }
}

pub(crate) fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name} is not a number"))
}

/// What is switched on.
#[derive(Debug)]
pub(crate) struct Board<S>(Vec<S>);

/// The board of a stand-in whose switches have labels.
pub(crate) type Active<K> = Board<Switch<K>>;

impl<S> Default for Board<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Switched> Board<S> {
    /// Replaces everything. Refuses what is above the limits, and then changes nothing.
    pub(crate) fn replace(&mut self, switches: &[S]) -> Result<(), String> {
        let mut wanted = Self::default();
        for switch in switches {
            wanted.add(switch)?;
        }
        *self = wanted;
        Ok(())
    }

    /// One more.
    pub(crate) fn add(&mut self, switch: &S) -> Result<(), String> {
        switch.check()?;
        if self.0.len() >= SWITCHES_MAX {
            return Err(format!("at most {SWITCHES_MAX} switches at once"));
        }
        let mut switch = switch.clone();
        if *switch.lasts() != Lasts::Times(0) {
            self.0.push(switch);
        }
        Ok(())
    }

    /// The first switch that applies, used up by one.
    pub(crate) fn take_first(&mut self, applies: impl FnMut(&S) -> bool) -> Option<S> {
        let at = self.0.iter().position(applies)?;
        let taken = self.0[at].clone();
        if let Lasts::Times(left) = self.0[at].lasts() {
            *left -= 1;
            if *left == 0 {
                self.0.remove(at);
            }
        }
        Some(taken)
    }

    pub(crate) fn snapshot(&self) -> Vec<S> {
        self.0.clone()
    }
}

impl<K: Kind> Active<K> {
    /// The switch that applies where these labels do, used up by one.
    pub(crate) fn take(&mut self, kind: K, labels: &[&str]) -> Option<Switch<K>> {
        self.take_first(|switch| {
            switch.kind == kind && switch.on.as_deref().is_none_or(|wanted| labels.contains(&wanted))
        })
    }
}
