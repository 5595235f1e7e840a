//! The memory store against the contract suite, the recorded FoundationDB, and its own promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod backend;
mod broken;
mod contract;
mod faults;
