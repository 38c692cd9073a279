//! The program from outside: its routes over real sockets, and the binary as a process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod admin;
mod audit;
mod checkout;
mod click;
mod commands;
mod coupons;
mod devices;
mod engines;
mod generation;
mod generation_events;
mod generation_faults;
mod generation_operations;
mod generation_work;
mod generation_world;
mod openapi;
mod outage;
mod payment;
mod process;
mod routes;
mod shop;
mod sign_in;
mod till;
mod tour;
mod v1;
mod whatsapp;
mod wizard;
mod worker;
mod world;
