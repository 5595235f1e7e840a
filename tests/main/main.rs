//! The binary as an operator meets it: configuration, start, stop, certificates, the store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "real processes in real time"
)]

mod certificates;
mod cluster;
mod configuration;
mod dev;
mod node;
mod queue;
mod stopping;
mod stores;
