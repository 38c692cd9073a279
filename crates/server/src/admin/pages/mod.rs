//! The dashboard's pages: a frame with the ways through it, and the parts that pages are made of. They show what they are
//! given and ask nobody.

mod chart;
mod frame;
mod overview;
mod parts;
mod sheet;

pub(super) use chart::{Axis, Chart, Line};
pub(super) use frame::{Here, Page, SCRIPT, STYLE, sign_in};
pub(super) use overview::{Board, Chip, KindCard, Rate, StoreLine, effects, overview};
pub(super) use parts::{absent, ago, badge, cell, empty, number, percent, reflow, rows_table, tone};
pub(super) use sheet::{asked_back, problem, sheet};
