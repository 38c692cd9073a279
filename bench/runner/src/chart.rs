//! docs/benchmarks/login.svg: one group of bars per scenario, readable on a light and on a dark page.
//!
//! Written once at the end of the run. Bars of one group are to the same scale; groups are not, because a durable
//! write and a read would not fit on one axis.

use std::fmt::Write as _;

use crate::plan::Contender;
use crate::report::thousands;
use crate::results::Results;

const WIDTH: f64 = 860.0;
const LABEL: f64 = 150.0;
const BAR_MAX: f64 = 600.0;
const BAR_HEIGHT: f64 = 16.0;
const BAR_STEP: f64 = 21.0;
const TITLE_STEP: f64 = 26.0;
const GROUP_GAP: f64 = 14.0;

const STYLE: &str = "\
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 }
    .ours { fill: #0969da }
    .peer { fill: #8c959f }
    .store { fill: #c9a227 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .ours { fill: #4493f8 }
      .peer { fill: #6e7681 }
    }";

pub(crate) fn svg(results: &Results) -> String {
    let mut bars = String::new();
    let mut y = GROUP_GAP;
    for scenario in results.scenarios() {
        let group = results.of(scenario);
        // A scenario of ours alone is a row of the table, not a comparison.
        if scenario.contenders().len() < 2 || group.is_empty() {
            continue;
        }
        let largest = group.iter().map(|(_, summary)| summary.per_second).fold(1.0, f64::max);
        let _ =
            writeln!(bars, r#"  <text class="title" x="8" y="{:.0}">{}</text>"#, y + 14.0, scenario.title());
        y += TITLE_STEP;
        for (contender, summary) in group {
            let width = (BAR_MAX * summary.per_second / largest).max(1.0);
            let text_y = y + 13.0;
            let _ = write!(
                bars,
                "  <text x=\"{:.0}\" y=\"{text_y:.0}\" text-anchor=\"end\">{}</text>\n  \
                 <rect class=\"{}\" x=\"{LABEL:.0}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT:.0}\" rx=\"2\"/>\n  \
                 <text x=\"{:.1}\" y=\"{text_y:.0}\">{}/s</text>\n",
                LABEL - 8.0,
                contender.name(),
                class(contender),
                LABEL + width + 6.0,
                thousands(summary.per_second),
            );
            y += BAR_STEP;
        }
        y += GROUP_GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {y:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{y:.0}\" role=\"img\" aria-labelledby=\"title\">\n  \
         <title id=\"title\">Requests a second, median of all rounds; each group has its own scale</title>\n  \
         <style>\n    {STYLE}\n  </style>\n{bars}</svg>\n"
    )
}

fn class(contender: Contender) -> &'static str {
    match contender {
        Contender::Ours => "ours",
        Contender::Tower | Contender::Express => "peer",
        Contender::PgbenchPrepared | Contender::PgbenchSimple | Contender::RedisBenchmark => "store",
    }
}
