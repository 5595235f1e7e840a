//! Tests of codec-mime, one module per area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod attacks;
mod convert;
mod corpus;
mod properties;
mod structure;
mod text;
mod values;
mod writing;
