//! A stand-in for FoundationDB: its C client library and a small server. Not FoundationDB.
//!
//! The real `libfdb_c` comes from no package registry. So that the real binding code and clusters of
//! several processes run everywhere, this crate offers the C functions that the `foundationdb` crate
//! calls (built as `libfdb_standin.so`, API version 730) in front of a simulated database:
//!
//! ```text
//!   store-foundationdb ──dlopen──▶ c ──▶ client ──loopback TCP (wire)──▶ server (own process or thread)
//!                                  │       reads own writes, conflict      versions, conflicts, rows,
//!                                  │       ranges, options, retry rules    watches, log, faults
//!                                  └ futures and callbacks on the network thread
//! ```
//!
//! What it does follows recordings of the real one (`fdb-vectors`); "fact N" in comments is a number
//! in their list. It is for tests and `rialto dev --nodes N`: it listens on loopback only, and says
//! what it is when it starts, unless `RIALTO_STANDIN_QUIET=1`.
//!
//! - [`server`]: the server in a thread of the caller, or as the program `fdb-standin`;
//! - [`c`]: the C functions; all unsafe code is there;
//! - [`cluster_file`]: the file by which clients find the server.

pub mod c;
mod client;
pub mod cluster_file;
mod codes;
pub mod server;
pub mod wire;

use std::path::PathBuf;

/// What both sides print when they start.
const NOTICE: &str =
    "this is a stand-in for FoundationDB, for tests and development only: it is NOT FoundationDB";

/// Says what this is, once per call, unless `RIALTO_STANDIN_QUIET=1`.
fn say_what_this_is(who: &str) {
    if std::env::var_os("RIALTO_STANDIN_QUIET").is_none_or(|quiet| quiet != "1") {
        eprintln!("fdb-standin: {who}: {NOTICE}");
    }
}

/// The library beside the running program: `libfdb_standin.so` in its folder, in `deps` below it, or
/// in the folder above, where cargo puts it.
pub fn library_path() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let above = folder.parent()?;
    [folder.to_owned(), folder.join("deps"), above.to_owned()]
        .into_iter()
        .map(|folder| folder.join("libfdb_standin.so"))
        .find(|path| path.exists())
}
