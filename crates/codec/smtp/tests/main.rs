//! Tests of the whole crate: attacks through the public interface, and properties.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod commands;
mod properties;
