//! What the stores for tests promise: they are stores, and simulated time waits for them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod slow;
mod time;
