//! Raft as this node runs it: openraft's own suite for the storage, and clusters in one process
//! over a simulated disk and network, in simulated time. Seeds decide delays, cuts and election
//! timeouts, and are printed where something fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod storage;
mod world;
