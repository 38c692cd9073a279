//! The private stores of a benchmark, and child processes that end with the run. `bench/run` and the other benchmarks use
//! them alike, so that all of them measure on stores of the same settings.

pub mod hardware;
pub mod postgres;
pub mod process;
pub mod redis;
