//! The store over the stand-in for FoundationDB's client and server; with `RIALTO_FDB_REAL=1`
//! (`make test-fdb`) over the installed client and the cluster of the cluster file instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod codes;
mod commits;
mod contract;
mod in_flight;
mod opening;
mod spaces;
mod world;
