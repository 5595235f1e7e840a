//! The tests of this crate.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod arc;
mod checking;
mod dkim;
mod dmarc;
mod sealing;
mod second_opinion;
mod signing;
mod spf_suite;
mod telling;
