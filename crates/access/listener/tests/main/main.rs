//! The listener over simulated networks: limits, TLS, drain, and what attackers do to sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accepting;
mod proxied;
mod streams;
mod support;
mod tls;
