//! The client library and its network thread: one of each per process.

use crate::options::OpenError;
use foundationdb::api::{FdbApiBuilder, get_max_api_version};
use foundationdb_sys::{FDB_API_VERSION, network};
use parking_lot::Mutex;
use std::path::Path;

/// How the one attempt at choosing the API version and setting up the network ended.
enum Setup {
    NotYet,
    Done,
    Failed { what: &'static str, code: i32 },
}

static SETUP: Mutex<Setup> = Mutex::new(Setup::NotYet);

/// Loads the library and starts the network thread, if that was not done. Several stores share
/// them.
///
/// # Errors
/// [`OpenError::Library`] may be healed and tried again; anything else lasts as long as the
/// process: the client can be set up only once.
pub(crate) fn start(library: Option<&Path>) -> Result<(), OpenError> {
    let mut setup = SETUP.lock();
    foundationdb_sys::load(library).map_err(OpenError::Library)?;
    if matches!(*setup, Setup::NotYet) {
        *setup = set_up()?;
    }
    match *setup {
        Setup::Failed { what, code } => Err(OpenError::Client { what, code }),
        Setup::NotYet | Setup::Done => network::start().map_err(OpenError::Network),
    }
}

fn set_up() -> Result<Setup, OpenError> {
    let newest = get_max_api_version();
    if newest < FDB_API_VERSION as i32 {
        return Err(OpenError::LibraryTooOld(newest));
    }
    let failed =
        |what| move |code: foundationdb::FdbError| Setup::Failed { what, code: code.code() };
    let builder = FdbApiBuilder::default().build().map_err(failed("choosing the API version"));
    // Its runner is not used: `foundationdb_sys::network` runs the thread, and stops it at exit.
    let built = builder.and_then(|b| b.build().map_err(failed("setting up the network")));
    Ok(built.map_or_else(|failed| failed, |_runner| Setup::Done))
}

/// Stops the network thread, for the whole process and for good: the last thing before the process
/// ends, after every store's [`crate::FoundationDb::drain`]. A process that ends without it is
/// covered by a handler at exit.
pub fn stop() {
    if let Err(error) = network::stop() {
        tracing::warn!(%error, "FoundationDB's network thread did not stop in order");
    }
}
