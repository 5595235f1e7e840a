//! Scanners as scripts on a simulated network: what clients make of what they say, and of their
//! silence.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod clamd;
mod failures;
mod milter;
mod rspamd;
mod world;
