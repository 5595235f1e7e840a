//! Tests of the whole crate: tables, attacks through the public interface, and properties.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod commands;
mod lines;
mod messages;
mod properties;
