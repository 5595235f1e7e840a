//! FoundationDB's C API, version 7.3, found when the program runs.
//!
//! It takes the place of the crate of the same name, by `[patch.crates-io]` in the root, so that the
//! stock `foundationdb` crate is compiled unchanged against it. The original links `libfdb_c` and
//! runs bindgen: building needs libclang, linking needs the library, and a program without it does
//! not start. Here the bindings are checked in and every function is looked up by [`load`], so that
//! a machine without the library learns of it only when it wants to use it.
//!
//! ```text
//! foundationdb_sys::load(None)?;                  // first, before any other call
//! let network = FdbApiBuilder::default().build()?;
//! network.build()?;                               // sets the network up
//! foundationdb_sys::network::start()?;            // runs it until network::stop() or the exit
//! ```
//!
//! `src/bindings.rs` is made by `generate.sh`, which says how; it holds types, constants and the
//! signatures of all 96 functions, without their documentation: see the
//! [C API](https://apple.github.io/foundationdb/api-c.html).
//!
//! This is the only crate with unsafe code that calls C.

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::too_many_arguments,
    clippy::upper_case_acronyms,
    reason = "names and shapes are those of the C headers"
)]
mod bindings;
mod library;
mod needed;
pub mod network;
mod versions;

pub use bindings::*;
pub use library::{LoadError, PATH_VARIABLE, load, loaded_from};

/// The version of the headers, and so of the behaviour that is asked for.
pub const FDB_API_VERSION: u32 = 730;
