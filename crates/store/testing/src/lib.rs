//! Stores for the tests of services, all seen as the contract has them. A tool: others have it as
//! a dev-dependency only.
//!
//! `RIALTO_TEST_STORE` names the store that [`open`] gives a test:
//!
//! - `memory` (the default): the simulation, which can be made to fail and tells what it did.
//! - `embedded`: the single-machine store in a folder of its own below `TMPDIR`.
//! - `foundationdb`: the client over a server of the stand-in's, one in the process, in which every
//!   test has a key prefix of its own. With `RIALTO_FDB_REAL=1` over the installed client and its
//!   cluster; then the test's keys are removed when its store is dropped.
//!
//! A test that makes the store fail or counts what it does takes [`memory`] whatever is named; one
//! that does so under FoundationDB's own faults takes [`standin`].
//!
//! [`forgetful`] makes a store that does not write what it should, for tests of tests.
//!
//! Tests live in simulated time, which jumps when everything waits; the second and the third store
//! live in real time. [`Anchored`] stands between them.

mod anchor;
mod anchored;
mod fdb;
mod forgetful;
mod owed;

pub use anchored::{Anchored, BackOff};
pub use fdb::{cluster_answers, is_real};
pub use forgetful::forgetful;

use base::env::Env;
use contract_store::Store;
use fdb_standin::server::ServerHandle;
use std::sync::Arc;
use store_embedded::EmbeddedStore;
use store_memory::MemoryStore;

/// The environment variable that names the store.
pub const VARIABLE: &str = "RIALTO_TEST_STORE";

/// Which store a test runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The simulation.
    Memory,
    /// The single-machine store.
    Embedded,
    /// FoundationDB or its stand-in.
    FoundationDb,
}

/// A store for one world, empty at first.
pub struct TestStore {
    /// What the services run on.
    pub dynamic: Arc<dyn Store>,
    /// The same store where it is the simulated one.
    pub memory: Option<MemoryStore>,
}

impl TestStore {
    /// The simulated store, to make it fail or to ask what it did.
    ///
    /// # Panics
    /// Where it is another one.
    pub fn memory(&self) -> &MemoryStore {
        match &self.memory {
            Some(memory) => memory,
            None => panic!("this test takes store_testing::memory, or begins with in_memory"),
        }
    }
}

/// The store that the environment names.
///
/// # Panics
/// Where it names none that there is.
pub fn kind() -> Kind {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("" | "memory") => Kind::Memory,
        Ok("embedded") => Kind::Embedded,
        Ok("foundationdb") => Kind::FoundationDb,
        Ok(other) => panic!("{VARIABLE}={other}: there is no such store"),
    }
}

/// Whether tests run on the simulation. One that needs it, and tells nothing new beside the runs
/// over the others, begins with this and ends at once where it is `false`.
pub fn in_memory() -> bool {
    let is_memory = kind() == Kind::Memory;
    if !is_memory {
        eprintln!("passed over: this test needs the simulated store, or would tell nothing new");
    }
    is_memory
}

/// An empty store of the kind that the environment names.
///
/// # Panics
/// Where it cannot be opened.
pub fn open(env: &Env) -> TestStore {
    match kind() {
        Kind::Memory => memory(env),
        Kind::Embedded => TestStore { dynamic: embedded(), memory: None },
        Kind::FoundationDb => TestStore { dynamic: fdb::shared(), memory: None },
    }
}

/// An empty simulated store in the world's own time.
pub fn memory(env: &Env) -> TestStore {
    let memory = MemoryStore::new(env.clock.clone(), &*env.random);
    TestStore { dynamic: Arc::new(memory.clone()), memory: Some(memory) }
}

/// A FoundationDB client over a stand-in's server of its own, whose dice follow from the seed and
/// which is there to be made to fail.
///
/// # Panics
/// Where it cannot be started, and where the real client is meant ([`is_real`]).
pub fn standin(seed: u64) -> (Arc<dyn Store>, ServerHandle) {
    fdb::own(seed)
}

/// The embedded store in a folder that goes with it.
fn embedded() -> Arc<dyn Store> {
    let folder = folder("rialto-embedded-");
    // Its threads know no simulated time.
    let mut options = store_embedded::Options::new(folder.path(), Env::real());
    // A test writes little: the log need not be larger than what one transaction may take.
    options.sizes.segment_bytes = 11 << 20;
    options.sizes.log_bytes_max = 22 << 20;
    options.sizes.checkpoint_bytes = 11 << 20;
    let store = match EmbeddedStore::open(options) {
        Ok(store) => store,
        Err(error) => panic!("{VARIABLE}=embedded: {error}"),
    };
    Arc::new(Anchored::new(store, BackOff::OfTheRuntime, folder))
}

fn folder(prefix: &str) -> tempfile::TempDir {
    match tempfile::Builder::new().prefix(prefix).rand_bytes(12).tempdir() {
        Ok(folder) => folder,
        Err(error) => panic!("no folder for a test's store: {error}"),
    }
}
