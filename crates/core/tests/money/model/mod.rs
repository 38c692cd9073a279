//! A model checker over the real services: every interleaving of a few small worlds of buyers, timers, an operator
//! and a provider, and in every state the rules that the money kinds promise.
//!
//! A step runs one call of a service on a ledger made of the state. A call that fails before its write is no step; one
//! whose reply is lost is the same step as without the loss, and is repeated later or at once: after every step the
//! same call is made again, and nothing may change. Counters and the time of a row's last change are left out of a
//! state, because no decision reads them.

mod rules;
mod shop;
mod steps;
mod wire;
mod worlds;
