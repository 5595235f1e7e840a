//! The router: tables of single calls, and a simulation of a whole cluster of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "paused time is measured")]

mod counter;
mod simulation;
mod table;
mod wires;
mod world;
