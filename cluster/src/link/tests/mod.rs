//! Links in simulated worlds and over real loopback, with faults and attackers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod codec;
mod faults;
mod links;
mod tls;
mod waiting;
mod world;
