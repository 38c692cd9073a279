//! What was measured, and its median and spread.
//!
//! Filled by the rounds, read by the reports.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::{Contender, Scenario, TARGETS, Target};

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// The part of one core that the load generator took.
    pub(crate) generator_cpu: Option<f64>,
}

/// The median of all rounds, each column for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) per_second: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    pub(crate) generator_cpu: Option<f64>,
}

/// A target and what was reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) target: Target,
    pub(crate) ratio: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(Scenario, Contender), Vec<Sample>>);

impl Results {
    pub(crate) fn add(&mut self, scenario: Scenario, contender: Contender, sample: Sample) {
        self.0.entry((scenario, contender)).or_default().push(sample);
    }

    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = self.0.keys().map(|(scenario, _)| *scenario).collect();
        scenarios.dedup();
        scenarios
    }

    /// In the plan's order.
    pub(crate) fn of(&self, scenario: Scenario) -> Vec<(Contender, Summary)> {
        scenario
            .contenders()
            .iter()
            .filter_map(|contender| Some((*contender, self.summary(scenario, *contender)?)))
            .collect()
    }

    pub(crate) fn summary(&self, scenario: Scenario, contender: Contender) -> Option<Summary> {
        let samples = self.0.get(&(scenario, contender))?;
        let rates: Vec<f64> = samples.iter().map(|sample| sample.per_second).collect();
        let latency = |of: fn(&Sample) -> Option<Duration>| {
            let seconds = samples.iter().filter_map(of).map(|latency| latency.as_secs_f64()).collect();
            median(seconds).map(Duration::from_secs_f64)
        };
        Some(Summary {
            per_second: median(rates.clone())?,
            min: rates.iter().copied().fold(f64::INFINITY, f64::min),
            max: rates.iter().copied().fold(0.0, f64::max),
            p50: latency(|sample| sample.p50),
            p99: latency(|sample| sample.p99),
            generator_cpu: median(samples.iter().filter_map(|sample| sample.generator_cpu).collect()),
        })
    }

    /// The targets that this run can speak about.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        TARGETS
            .iter()
            .filter_map(|target| {
                let ours = self.summary(target.ours, Contender::Ours)?.per_second;
                let theirs = self.summary(target.against, target.of)?.per_second;
                Some(Verdict { target: *target, ratio: ours / theirs })
            })
            .collect()
    }
}

impl Verdict {
    pub(crate) fn is_met(&self) -> bool {
        self.ratio >= self.target.at_least
    }

    pub(crate) fn title(&self) -> String {
        let Target { ours, against, of, .. } = self.target;
        if ours == against {
            format!("{}: sessile / {}", ours.title(), of.name())
        } else {
            format!("sessile: {} / {}", ours.title(), against.title())
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle - 1).map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(per_second: f64) -> Sample {
        Sample { per_second, p50: None, p99: None, generator_cpu: None }
    }

    #[test]
    fn the_median_and_the_spread_come_from_all_rounds() {
        let mut results = Results::default();
        for rate in [30.0, 10.0, 20.0, 50.0, 40.0] {
            results.add(Scenario::LoadRedis, Contender::Ours, sample(rate));
        }
        let summary = results.summary(Scenario::LoadRedis, Contender::Ours).unwrap();
        assert_eq!((summary.per_second, summary.min, summary.max), (30.0, 10.0, 50.0));
        assert_eq!(median(vec![1.0, 2.0]), Some(1.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_target_is_judged_only_when_both_sides_were_measured() {
        let mut results = Results::default();
        results.add(Scenario::LoadRedis, Contender::Ours, sample(150.0));
        assert!(results.verdicts().is_empty());
        results.add(Scenario::LoadRedis, Contender::Tower, sample(100.0));
        let verdicts = results.verdicts();
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts.iter().all(Verdict::is_met), "{verdicts:?}");
    }
}
