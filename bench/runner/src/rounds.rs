//! The rounds: every chosen scenario for every contender once, in an order that changes from round to round.
//!
//! Interleaving spreads whatever the machine does meanwhile over all contenders. Only one of them is under load at a
//! time; the others are idle.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bench_load::{Load, measure};

use crate::native::{Pgbench, measure_redis};
use crate::plan::{Contender, Scenario, Server};
use crate::results::{Results, Sample};
use crate::servers::Ready;
use bench_runner::postgres::Postgres;
use bench_runner::process::pause;
use bench_runner::redis::Redis;

pub(crate) const WARMUP: Duration = Duration::from_millis(300);
/// Between two measurements, for the last one's leftovers.
const SETTLE: Duration = Duration::from_millis(300);

pub(crate) type Cell = (Scenario, Contender);

#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) redis: &'a Redis,
    pub(crate) pgbench: Option<Pgbench>,
    pub(crate) servers: BTreeMap<Server, Ready>,
    pub(crate) seconds: u64,
}

impl Bench<'_> {
    pub(crate) fn run(&mut self, cells: &[Cell], rounds: usize) -> Result<Results> {
        let mut results = Results::default();
        for round in 1..=rounds {
            for (scenario, contender) in in_order(cells, round) {
                pause(SETTLE);
                let sample = self.measure(scenario, contender).with_context(|| {
                    format!("{}, {}: the measurement failed", scenario.title(), contender.name())
                })?;
                let rate = sample.per_second;
                println!(
                    "round {round}/{rounds}  {:<42} {:<18} {rate:>9.0}/s",
                    scenario.title(),
                    contender.name()
                );
                results.add(scenario, contender, sample);
            }
        }
        Ok(results)
    }

    fn measure(&mut self, scenario: Scenario, contender: Contender) -> Result<Sample> {
        let Some(server) = scenario.server(contender) else {
            return match (contender, &self.pgbench) {
                (Contender::RedisBenchmark, _) => measure_redis(self.redis, scenario, self.seconds),
                (_, Some(pgbench)) => pgbench.measure(self.postgres, scenario, contender, self.seconds),
                (_, None) => anyhow::bail!("pgbench was not prepared"),
            };
        };
        let ready = self.servers.get_mut(&server).context("its server was not started")?;
        let load = Load {
            server: ready.address,
            connections: scenario.connections(),
            warmup: WARMUP,
            duration: Duration::from_secs(self.seconds),
        };
        let requests = if scenario.changes() { &mut ready.changes } else { &mut ready.loads };
        let found = measure(&load, requests)
            .map_err(|error| anyhow::anyhow!("{error}\nthe server's last words:\n{}", ready.log_tail()))?;
        Ok(Sample {
            per_second: found.per_second,
            p50: Some(found.p50),
            p99: Some(found.p99),
            generator_cpu: found.generator_cpu,
        })
    }
}

/// A different order in every round, the same in every run. Contenders of one scenario stay neighbours, so that they
/// meet the same state of the machine, but change their places.
fn in_order(cells: &[Cell], round: usize) -> Vec<Cell> {
    let key = |value: usize, salt: usize| {
        (value + 1).wrapping_mul(round.wrapping_mul(2_654_435_761).wrapping_add(salt)).wrapping_mul(40_503)
            % 65_537
    };
    let mut ordered = cells.to_vec();
    ordered.sort_by_key(|(scenario, contender)| {
        (key(*scenario as usize, 17), *scenario, key(*contender as usize, 29), *contender)
    });
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_differ_in_order_and_not_in_content() {
        let cells: Vec<Cell> = [Scenario::LoadPostgres, Scenario::LoadRedis, Scenario::SetSqlite]
            .into_iter()
            .flat_map(|scenario| scenario.contenders().iter().map(move |contender| (scenario, *contender)))
            .collect();
        let first = in_order(&cells, 1);
        let second = in_order(&cells, 2);
        assert_ne!(first, second);
        let sorted = |mut cells: Vec<Cell>| {
            cells.sort();
            cells
        };
        assert_eq!(sorted(first), sorted(second));
    }
}
