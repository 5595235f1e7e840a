//! The courier against scripted hosts, over a network, names and time that are simulated, and
//! against our own server over the real loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod body;
mod certificates;
mod converted;
mod dane;
mod envelope;
mod finding;
mod own_server;
mod properties;
mod require_tls;
mod reuse;
mod script;
mod signed;
mod sts;
mod tls;
mod tls_reports;
mod world;
