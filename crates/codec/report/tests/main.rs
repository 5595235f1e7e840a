//! Reports as the RFCs show them, and what strangers may make of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod dmarc;
mod packed;
mod tls;
