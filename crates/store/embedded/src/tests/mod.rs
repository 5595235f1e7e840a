//! Tests of the whole store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod faults;
mod kill;
mod order;
mod power;
mod world;
