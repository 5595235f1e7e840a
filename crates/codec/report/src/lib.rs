//! Reports that domains send each other once a day: on TLS (RFC 8460, JSON), on
//! authentication (DMARC, RFC 9990, XML), and their packings.
//!
//! Everything that is read comes from strangers: what is unpacked has a bound, and so has every list
//! and every text in it.

pub mod dmarc;
mod packed;
mod range;
pub mod records;
pub mod tls;

pub use packed::{Refused, gzip, unpack};
pub use range::DateRange;
