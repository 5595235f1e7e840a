//! Tests of the whole store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod contract;
mod faults;
mod full;
mod kill;
mod machine;
mod order;
mod power;
mod world;
