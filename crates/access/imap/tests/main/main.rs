//! IMAP sessions over the real services and the store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod client;
mod compression;
mod concurrency;
mod cost;
mod floods;
mod limits;
mod resync;
mod sessions;
mod sharing;
mod support;
mod transcripts;
mod visits;
