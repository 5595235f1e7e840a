//! POP3 sessions over the real services and the store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod client;
mod failures;
mod sessions;
mod support;
mod transcripts;
