//! The mailbox service over the store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

mod core;
mod items;
mod placement;
mod support;
