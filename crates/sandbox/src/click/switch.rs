//! A misbehaviour switched on: how often, for which order, on which message, and how badly.
//!
//! A switch is good for one use, for several, or until it is taken away. It can be bound to one order, so that
//! payments that run at the same time do not take each other's switches.

use serde::{Deserialize, Serialize};

use super::message::Step;
use super::misbehaviour::Misbehaviour;
use crate::switch::{Board, Extent, Switched};
pub use crate::switch::{Lasts, TIMES_MAX};

/// A misbehaviour with its settings. On the wire a bare name, or an object with `kind` and what is to differ:
/// `{"kind": "repeat", "copies": 5, "connections": 5, "on": "complete", "times": 3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire")]
pub struct Switch {
    /// What to do wrong.
    pub kind: Misbehaviour,
    /// How often.
    pub lasts: Lasts,
    /// Only this order; `None` is whichever comes next.
    pub order: Option<String>,
    /// Only this message, where it applies to messages; `None` is whichever comes next.
    pub on: Option<Step>,
    /// `repeat`: how often a message is sent in all.
    pub copies: u32,
    /// `repeat`: how many of them at once.
    pub connections: u32,
    /// `late_complete`, `status_slow`: how long.
    pub delay_ms: u64,
    /// `prepare_error`: the code.
    pub error: i64,
    /// `wrong_amount`: the amount; `None` is one so'm more.
    pub amount: Option<String>,
}

impl Switch {
    /// Good for one use.
    #[must_use]
    pub fn once(kind: Misbehaviour) -> Self {
        Self {
            kind,
            lasts: Lasts::Times(1),
            order: None,
            on: kind.default_step(),
            copies: 3,
            connections: 1,
            delay_ms: 500,
            error: super::flow::CANCELLED,
            amount: None,
        }
    }

    /// Good for so many uses.
    #[must_use]
    pub fn times(kind: Misbehaviour, times: u32) -> Self {
        Self { lasts: Lasts::Times(times), ..Self::once(kind) }
    }

    /// Good until it is taken away.
    #[must_use]
    pub fn standing(kind: Misbehaviour) -> Self {
        Self { lasts: Lasts::Standing, ..Self::once(kind) }
    }

    /// For this order only.
    #[must_use]
    pub fn for_order(mut self, order: impl Into<String>) -> Self {
        self.order = Some(order.into());
        self
    }

    /// For this message only.
    #[must_use]
    pub fn on(mut self, step: Step) -> Self {
        self.on = Some(step);
        self
    }

    /// `repeat`: so many in all, so many of them at once.
    #[must_use]
    pub fn copies(mut self, copies: u32, connections: u32) -> Self {
        (self.copies, self.connections) = (copies, connections);
        self
    }

    /// `late_complete`, `status_slow`: how long.
    #[must_use]
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    /// `prepare_error`: the code.
    #[must_use]
    pub fn error(mut self, error: i64) -> Self {
        self.error = error;
        self
    }

    /// `wrong_amount`: the amount.
    #[must_use]
    pub fn amount(mut self, amount: impl Into<String>) -> Self {
        self.amount = Some(amount.into());
        self
    }
}

impl Switched for Switch {
    fn check(&self) -> Result<(), String> {
        let Self { lasts, copies, connections, delay_ms, .. } = *self;
        let name = self.kind.name();
        Extent { lasts, copies, connections, delay_ms }.check(name)?;
        if self.kind == Misbehaviour::PrepareError && self.error >= 0 {
            return Err(format!("`{name}`: the error must be below zero"));
        }
        Ok(())
    }

    fn lasts(&mut self) -> &mut Lasts {
        &mut self.lasts
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    Name(Misbehaviour),
    Full(Box<Settings>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    kind: Misbehaviour,
    times: Option<u32>,
    #[serde(default)]
    standing: bool,
    order: Option<String>,
    on: Option<Step>,
    copies: Option<u32>,
    connections: Option<u32>,
    delay_ms: Option<u64>,
    error: Option<i64>,
    amount: Option<String>,
}

impl From<Wire> for Switch {
    fn from(wire: Wire) -> Self {
        let settings = match wire {
            Wire::Name(kind) => return Self::once(kind),
            Wire::Full(settings) => *settings,
        };
        let plain = Self::once(settings.kind);
        Self {
            kind: settings.kind,
            lasts: Lasts::of_wire(settings.times, settings.standing),
            order: settings.order,
            on: settings.on.or(plain.on),
            copies: settings.copies.unwrap_or(plain.copies),
            connections: settings.connections.unwrap_or(plain.connections),
            delay_ms: settings.delay_ms.unwrap_or(plain.delay_ms),
            error: settings.error.unwrap_or(plain.error),
            amount: settings.amount,
        }
    }
}

/// What is switched on.
pub(crate) type Active = Board<Switch>;

impl Active {
    /// The switch that applies here, used up by one.
    pub(crate) fn take(&mut self, kind: Misbehaviour, step: Option<Step>, order: &str) -> Option<Switch> {
        self.take_first(|switch| {
            switch.kind == kind
                && switch.order.as_deref().is_none_or(|wanted| wanted == order)
                && (step.is_none() || switch.on.is_none() || switch.on == step)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::{COPIES_MAX, DELAY_MS_MAX, SWITCHES_MAX};

    #[test]
    fn a_list_is_names_and_objects() {
        let list: Vec<Switch> = serde_json::from_str(
            r#"["bad_signature", {"kind": "repeat", "copies": 5, "connections": 2, "on": "complete", "times": 3},
                {"kind": "status_500", "standing": true, "order": "o"}]"#,
        )
        .unwrap();
        let repeat = Switch::times(Misbehaviour::Repeat, 3).copies(5, 2).on(Step::Complete);
        let standing = Switch::standing(Misbehaviour::Status500).for_order("o");
        assert_eq!(list, [Switch::once(Misbehaviour::BadSignature), repeat, standing]);
        assert!(serde_json::from_str::<Switch>(r#"{"kind": "repeat", "copy": 5}"#).is_err());
    }

    #[test]
    fn a_switch_wears_off_unless_it_stands_and_waits_for_its_order_and_message() {
        let mut active = Active::default();
        let late = Switch::once(Misbehaviour::LostReply).for_order("mine").on(Step::Complete);
        active.replace(&[late, Switch::standing(Misbehaviour::Status500)]).unwrap();
        assert!(active.take(Misbehaviour::LostReply, Some(Step::Complete), "yours").is_none());
        assert!(active.take(Misbehaviour::LostReply, Some(Step::Prepare), "mine").is_none());
        assert!(active.take(Misbehaviour::LostReply, Some(Step::Complete), "mine").is_some());
        assert!(active.take(Misbehaviour::LostReply, Some(Step::Complete), "mine").is_none());
        for _ in 0..3 {
            assert!(active.take(Misbehaviour::Status500, None, "any").is_some());
        }
    }

    #[test]
    fn limits_are_checked_before_anything_changes() {
        let mut active = Active::default();
        active.add(&Switch::once(Misbehaviour::Repeat)).unwrap();
        let wrong = [
            Switch::times(Misbehaviour::Repeat, TIMES_MAX + 1),
            Switch::once(Misbehaviour::Repeat).copies(COPIES_MAX + 1, 1),
            Switch::once(Misbehaviour::Repeat).copies(1, 0),
            Switch::once(Misbehaviour::LateComplete).delay_ms(DELAY_MS_MAX + 1),
            Switch::once(Misbehaviour::PrepareError).error(0),
        ];
        for switch in wrong {
            assert!(active.replace(&[switch]).is_err());
        }
        assert!(active.replace(&vec![Switch::once(Misbehaviour::Repeat); SWITCHES_MAX + 1]).is_err());
        assert_eq!(active.snapshot().len(), 1);
    }
}
