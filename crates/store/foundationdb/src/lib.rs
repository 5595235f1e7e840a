//! The cluster's store: the contract over FoundationDB 7.3.
//!
//! ```text
//!  Transaction (this crate)          foundationdb crate       foundationdb-sys      libfdb_c.so
//!  keys ↔ key space, phases, ─────▶  futures over      ────▶  one Rust function ──▶ found by
//!  error classes, metrics            C callbacks              per C function        dlopen
//!                                    one network thread per process
//! ```
//!
//! The library is looked for when a store is opened, not before: a machine without it can do
//! everything else. What this crate promises beyond the contract's words:
//!
//! - A commit runs to its end in a task of its own, whatever happens to who waits for it.
//! - No transaction has a timeout: where the cluster is away, calls wait until it is back.
//! - Error codes mean what the table in `errors.rs` says; a code that nobody knows is taken for a
//!   commit that may still happen.
//! - Read versions are never cached, so that fences see the newest state.
//!
//! [`contract_store::Durability`] makes no difference: every commit is durable when it is reported.

mod errors;
mod metered;
mod network;
mod options;
mod page;
mod range;
mod settled;
mod slot;
mod space;
mod transaction;

pub use metered::Stats;
pub use network::stop;
pub use options::{CLUSTER_FILE_DEFAULT, CLUSTER_FILE_VARIABLE, OpenError, Options};

use base::env::Clock;
use contract_store::{Store, StoreResult, Transaction};
use foundationdb::Database;
use futures::future::{Either, select};
use metered::Meters;
use space::KeySpace;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use transaction::FdbTransaction;

/// How long [`FoundationDb::drain`] waits for commits.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// What all transactions of a store share.
struct Shared {
    database: Database,
    space: KeySpace,
    clock: Arc<dyn Clock>,
    meters: Meters,
}

impl Shared {
    fn begin(&self) -> StoreResult<foundationdb::Transaction> {
        self.database.create_trx().map_err(errors::of_read)
    }
}

/// A FoundationDB cluster, or the part of one whose keys begin with a prefix.
pub struct FoundationDb {
    shared: Arc<Shared>,
}

impl FoundationDb {
    /// Loads the client, starts its network thread (both once per process) and opens the cluster.
    /// It is not waited for: a cluster that is away shows in [`FoundationDb::reaches`].
    ///
    /// # Errors
    /// [`OpenError`], with words for an operator.
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let space = options.space()?;
        let cluster_file = options.cluster_file()?;
        network::start(options.library.as_deref())?;
        let database = Database::from_path(&cluster_file).map_err(|error| OpenError::Client {
            what: "opening the cluster",
            code: error.code(),
        })?;
        let library = foundationdb_sys::loaded_from().map(|path| path.display().to_string());
        tracing::info!(cluster_file, ?library, "the store is FoundationDB");
        let shared = Shared { database, space, clock: options.clock, meters: Meters::default() };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Whether the cluster gives a read version in this time; at once `false` where the client's
    /// network thread does not run any more. For starting up and health checks.
    pub async fn reaches(&self, within: Duration) -> bool {
        if !foundationdb_sys::network::is_running() {
            return false;
        }
        let Ok(transaction) = self.shared.begin() else {
            return false;
        };
        let late = self.shared.clock.sleep(within);
        match select(transaction.get_read_version(), pin!(late)).await {
            Either::Left((version, _)) => version.is_ok(),
            Either::Right(_) => false,
        }
    }

    /// Returns when no commit of this store is in flight, or after ten seconds: a cluster that is
    /// away must not hold a process that is to end. Before [`stop`]. Gives how many commits are
    /// left; whether they happen is then unknown, which is logged.
    pub async fn drain(&self) -> u64 {
        self.drain_within(DRAIN_TIME).await
    }

    /// As [`FoundationDb::drain`], with another limit.
    pub async fn drain_within(&self, within: Duration) -> u64 {
        let late = self.shared.clock.sleep(within);
        if let Either::Left(_) = select(pin!(self.shared.meters.no_commits()), pin!(late)).await {
            return 0;
        }
        let commits = self.stats().committing;
        if commits > 0 {
            tracing::warn!(
                commits,
                "commits are still in flight: whether they happen is unknown; stopping without them"
            );
        }
        commits
    }

    /// What has happened since the store was opened.
    pub fn stats(&self) -> Stats {
        self.shared.meters.stats()
    }

    /// How busy the client's network thread is: 0 idle, 1 saturated. It is what limits a process
    /// first.
    pub async fn network_busyness(&self) -> f64 {
        self.shared.database.get_main_thread_busyness().await.unwrap_or(0.0)
    }
}

impl Store for FoundationDb {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(FdbTransaction::new(self.shared.clone()))
    }

    fn name(&self) -> &'static str {
        "foundationdb"
    }
}
