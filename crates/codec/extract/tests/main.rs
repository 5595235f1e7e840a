//! Files as other programs write them, and as attackers do.
#![allow(clippy::unwrap_used, missing_docs)]

mod attacks;
mod documents;
mod samples;
