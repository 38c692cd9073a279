//! Charts: lines in an SVG that is drawn here, with its scale, legend and totals as text around it.
//!
//! The picture stretches with the page; text does not. Whoever does not see it is told the totals, and the script shows
//! the values under the pointer.

use maud::{Markup, html};
use serde_json::json;
use sessile::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;

/// The picture's own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// How wide a point is that has no neighbour.
const DASH: f64 = 8.0;

/// One line; `None` where nothing is known.
pub(in crate::admin) struct Line {
    pub(in crate::admin) name: &'static str,
    pub(in crate::admin) values: Vec<Option<f64>>,
    /// What the legend says: a total, or the last value.
    pub(in crate::admin) said: String,
}

/// When the chart begins and ends.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Axis {
    pub(in crate::admin) from: Timestamp,
    pub(in crate::admin) until: Timestamp,
    /// In words: "an hour ago".
    pub(in crate::admin) begins: &'static str,
}

/// One chart.
pub(in crate::admin) struct Chart {
    pub(in crate::admin) title: String,
    /// What the numbers are.
    pub(in crate::admin) unit: &'static str,
    pub(in crate::admin) lines: Vec<Line>,
    pub(in crate::admin) axis: Axis,
}

/// Draws it.
pub(in crate::admin) fn chart(chart: &Chart) -> Markup {
    let Chart { title, unit, lines, axis } = chart;
    let most = lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0, f64::max);
    let top = ceiling(most);
    let told: Vec<String> = lines.iter().map(|line| format!("{}: {}", line.name, line.said)).collect();
    html! {
        figure.chart data-chart=(readings(chart)) {
            figcaption { h3 { (title) } span.soft.small { (unit) } }
            div.plot {
                span.high aria-hidden="true" { (label(top)) }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ (title) ", " (unit) ", since " (axis.begins) ". " (told.join("; ")) } {
                    path.grid d={ "M0 0H" (WIDTH) "M0 " (HEIGHT / 2.0) "H" (WIDTH) "M0 " (HEIGHT) "H" (WIDTH) } {}
                    @for (at, line) in lines.iter().enumerate() {
                        path.{ "line s" (at + 1) } d=(path(&line.values, top)) {}
                    }
                }
                span.rule aria-hidden="true" hidden {}
            }
            p.axis.soft.small aria-hidden="true" { span { (axis.begins) } span.read data-read {} span { "now" } }
            ul.legend {
                @for (at, line) in lines.iter().enumerate() {
                    li { span.{ "swatch s" (at + 1) } aria-hidden="true" {} (line.name) " " strong { (line.said) } }
                }
            }
        }
    }
}

/// For the script: when, how far apart, and every value.
fn readings(chart: &Chart) -> String {
    let points = chart.lines.first().map_or(1, |line| line.values.len().max(1));
    let span = chart.axis.until.since(chart.axis.from);
    let step = span / u32::try_from(points).unwrap_or(u32::MAX).max(1);
    let lines: Vec<_> = chart.lines.iter().map(|line| json!([line.name, line.values])).collect();
    json!({ "from": chart.axis.from.unix_ms(), "step": ms(step), "lines": lines }).to_string()
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The lowest round number that nothing exceeds.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= most).unwrap_or(most)
}

fn label(top: f64) -> String {
    if top >= 10.0 { format!("{top:.0}") } else { format!("{top}") }
}

/// A line from point to point, interrupted where nothing is known.
fn path(values: &[Option<f64>], top: f64) -> String {
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let mut text = String::new();
    let mut pen_is_up = true;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen_is_up = true;
            continue;
        };
        let (x, y) = (at as f64 * step, HEIGHT - value / top * HEIGHT);
        let is_alone = pen_is_up && values.get(at + 1).is_none_or(Option::is_none);
        // Writing to a string cannot fail.
        let _ = match (pen_is_up, is_alone) {
            (_, true) => write!(text, "M{:.1} {y:.1}h{DASH}", x - DASH / 2.0),
            (true, false) => write!(text, "M{x:.1} {y:.1}"),
            (false, false) => write!(text, "L{x:.1} {y:.1}"),
        };
        pen_is_up = false;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(
            [0.0, 0.3, 1.0, 1.1, 7.0, 23.0, 26.0, 900.0, 1001.0].map(ceiling),
            [1.0, 0.5, 1.0, 2.0, 10.0, 25.0, 50.0, 1000.0, 2000.0]
        );
    }

    #[test]
    fn a_line_has_gaps_where_nothing_is_known() {
        assert_eq!(path(&[Some(0.0), Some(1.0), None, Some(0.5)], 1.0), "M0.0 120.0L200.0 0.0M596.0 60.0h8");
        assert_eq!(path(&[None, None], 1.0), "");
    }
}
