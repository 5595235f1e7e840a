//! One transaction: its phases, its errors, what it forgets when.
//!
//! ```text
//!   Open ──commit──▶ Committing ──▶ Ended
//!     ▲                               │
//!     └────── reset, on_error ────────┘       cancel, destroy, a final error ──▶ Cancelled
//! ```
//!
//! Calls of many threads are taken one at a time, in no promised order; nothing waits while the lock
//! is held. A call that waits keeps a [`Seat`] of the transaction as it was when it began: a reset
//! ends it (1025) and gives the transaction new seats.

use super::database::Database;
use super::network;
use super::options::{self, Options};
use super::seat::{Kill, Seat};
use super::watch::PendingWatch;
use super::{Op, Output};
use crate::codes;
use base::env::Random as _;
use base::env::real::OsRandom;
use bytes::Bytes;
use contract_store::rules::{RangeSet, WriteMap, backoff_ms};
use contract_store::{KeyRange, StoreError, Version, Versionstamp};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{OnceCell, oneshot};

static RANDOM: LazyLock<OsRandom> = LazyLock::new(OsRandom::default);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Open,
    Committing,
    Ended,
    Cancelled,
}

/// Everything that the lock guards.
pub(super) struct Core {
    pub(super) phase: Phase,
    /// Something was called during or after the commit (fact 8).
    pub(super) misused: bool,
    pub(super) timed_out: bool,
    pub(super) seat: Seat,
    pub(super) version_asked: bool,
    pub(super) has_read: bool,
    pub(super) writes: Arc<WriteMap>,
    /// Numbers of mutations without a conflict range.
    pub(super) silent: Vec<u32>,
    pub(super) reads: RangeSet,
    pub(super) explicit_writes: RangeSet,
    /// Single keys as they were read: asked for again they are not fetched again (fact 19).
    pub(super) cache: HashMap<Bytes, Option<Bytes>>,
    /// Fails every read and the commit (fact 12).
    pub(super) deferred: Option<i32>,
    /// Fails the commit only (fact 15).
    pub(super) commit_error: Option<i32>,
    pub(super) watches: Vec<PendingWatch>,
    pub(super) stamps: Vec<oneshot::Sender<Result<Versionstamp, i32>>>,
    pub(super) mutation_bytes: usize,
    pub(super) options: Options,
    pub(super) created: Duration,
    /// Says which time-out is meant.
    timer: u64,
    retries: u32,
    pub(super) committed_version: Version,
    /// What others changed, after a conflict, if that was asked for.
    pub(super) conflicting: RangeSet,
}

impl Core {
    fn new(database: &Database) -> Self {
        let defaults = database.defaults();
        let (kill, version) = (Kill::default(), Arc::new(OnceCell::new()));
        let seat = Seat { generation: 0, kill, version, reading: Arc::default() };
        Self {
            phase: Phase::Open,
            misused: false,
            timed_out: false,
            seat,
            version_asked: false,
            has_read: false,
            writes: Arc::default(),
            silent: Vec::new(),
            reads: RangeSet::default(),
            explicit_writes: RangeSet::default(),
            cache: HashMap::new(),
            deferred: defaults.broken,
            commit_error: None,
            watches: Vec::new(),
            stamps: Vec::new(),
            mutation_bytes: 0,
            options: defaults.options,
            created: network::now(),
            timer: 0,
            retries: 0,
            committed_version: -1,
            conflicting: RangeSet::default(),
        }
    }

    /// Whether anything but a special read may go on.
    pub(super) fn usable(&mut self) -> Result<(), i32> {
        if self.is_late() {
            return Err(codes::TIMED_OUT);
        }
        match (self.phase, self.deferred) {
            (Phase::Cancelled, _) => Err(codes::CANCELLED),
            (_, Some(code)) => Err(code),
            (Phase::Open, None) => Ok(()),
            (Phase::Committing | Phase::Ended, None) => {
                self.misuse();
                Err(codes::USED_DURING_COMMIT)
            }
        }
    }

    fn is_late(&mut self) -> bool {
        let limit = Duration::from_millis(self.options.timeout_ms);
        self.timed_out |= !limit.is_zero() && network::now() >= self.created + limit;
        self.timed_out
    }

    /// Notes that it was used during or after its commit; during, that ends the commit's future.
    pub(super) fn misuse(&mut self) {
        if self.phase == Phase::Committing && self.options.unprotected_commit {
            return;
        }
        self.misused = true;
        if self.phase == Phase::Committing {
            self.seat.kill.kill(codes::USED_DURING_COMMIT);
        }
    }

    /// Makes all that follows fail, until a reset. The first mistake stays.
    pub(super) fn defer(&mut self, code: i32) {
        self.deferred.get_or_insert(code);
    }

    fn cancel(&mut self) {
        self.phase = Phase::Cancelled;
        self.end_waiting(codes::CANCELLED, codes::CANCELLED);
    }

    /// Ends all calls that wait.
    fn end_waiting(&mut self, code: i32, stamp_code: i32) {
        for stamp in self.stamps.drain(..) {
            let _ = stamp.send(Err(stamp_code));
        }
        self.watches.clear();
        self.seat.kill.kill(code);
    }

    /// A transaction as new, but for what survives a reset.
    fn reset(&mut self, database: &Database) {
        self.end_waiting(codes::CANCELLED, codes::BROKEN_PROMISE);
        let mut fresh = Self::new(database);
        fresh.seat.generation = self.seat.generation + 1;
        fresh.committed_version = self.committed_version;
        fresh.timer = self.timer + 1;
        *self = fresh;
    }

    /// The ranges that a commit's readers conflict with.
    pub(super) fn write_ranges(&self) -> RangeSet {
        let mut ranges = self.explicit_writes.clone();
        for (number, mutation) in self.writes.mutations().iter().enumerate() {
            if self.silent.binary_search(&(number as u32)).is_err() {
                ranges.insert(&mutation.written());
            }
        }
        ranges
    }
}

pub(crate) struct Transaction {
    pub(super) database: Arc<Database>,
    core: Mutex<Core>,
}

impl Transaction {
    pub(super) fn new(database: Arc<Database>) -> Arc<Self> {
        let core = Core::new(&database);
        let timed = core.options.timeout_ms > 0;
        let transaction = Arc::new(Self { database, core: Mutex::new(core) });
        if timed {
            transaction.start_timer(&mut transaction.lock());
        }
        transaction
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// The core, if the transaction has not been reset since.
    pub(super) fn lock_seated(&self, seat: &Seat) -> Option<MutexGuard<'_, Core>> {
        Some(self.core.lock()).filter(|core| core.seat.generation == seat.generation)
    }

    pub(crate) fn set_option(self: &Arc<Self>, option: i32, value: &[u8]) -> Result<(), i32> {
        if !options::is_known(option) {
            return Err(codes::BAD_OPTION);
        }
        let mut core = self.lock();
        let too_late =
            option == 51 && core.phase == Phase::Open && (core.has_read || !core.writes.is_empty());
        let outcome =
            if too_late { Err(codes::INVALID_OPERATION) } else { core.options.set(option, value) };
        if let Err(code) = outcome {
            core.defer(code);
        } else if option == 500 {
            self.start_timer(&mut core);
        }
        Ok(())
    }

    /// Ends the transaction when its time, counted from its creation (fact 21), is over.
    fn start_timer(self: &Arc<Self>, core: &mut Core) {
        core.timer += 1;
        let timer = core.timer;
        if core.options.timeout_ms == 0 {
            return;
        }
        let end = core.created + Duration::from_millis(core.options.timeout_ms);
        let left = end.saturating_sub(network::now());
        let transaction = Arc::downgrade(self);
        network::spawn(async move {
            tokio::time::sleep(left).await;
            let Some(transaction) = transaction.upgrade() else { return };
            let mut core = transaction.lock();
            if core.timer == timer {
                core.timed_out = true;
                core.end_waiting(codes::TIMED_OUT, codes::TIMED_OUT);
            }
        });
    }

    /// Takes the caller's read version; mistakes are deferred (fact 20).
    pub(crate) fn set_read_version(&self, version: Version) {
        let mut core = self.lock();
        if version <= 0 {
            core.defer(codes::INVALID_VERSION);
        } else if core.version_asked {
            core.defer(codes::READ_VERSION_ALREADY_SET);
        } else {
            core.version_asked = true;
            core.seat.version = Arc::new(OnceCell::new_with(Some(version)));
        }
    }

    pub(crate) fn committed_version(&self) -> Version {
        self.lock().committed_version
    }

    /// The stamp of the commit to come (fact 16).
    pub(crate) fn versionstamp(self: &Arc<Self>) -> Op {
        let mut core = self.lock();
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        let (reply, answer) = oneshot::channel();
        core.stamps.push(reply);
        Op::Later(Box::pin(async move {
            let stamp = answer.await.unwrap_or(Err(codes::CANCELLED))?;
            Ok(Output::Key(Bytes::copy_from_slice(&stamp)))
        }))
    }

    /// Where a key is stored.
    pub(crate) fn addresses(&self) -> Op {
        let address = self.database.address().to_string();
        let outcome = self.lock().usable();
        let strings = std::ffi::CString::new(address).into_iter().collect();
        outcome.map(|()| Output::Strings(strings)).into()
    }

    /// Resets after an error that may be retried, after a while; gives back any other (fact 10).
    pub(crate) fn on_error(self: &Arc<Self>, code: i32) -> Op {
        let mut core = self.lock();
        let refused = if core.is_late() {
            Some(codes::TIMED_OUT)
        } else if core.phase == Phase::Cancelled {
            Some(codes::CANCELLED)
        } else if core.phase == Phase::Ended && core.misused {
            Some(codes::USED_DURING_COMMIT)
        } else if code == 0 {
            Some(codes::INVALID_OPERATION)
        } else {
            None
        };
        if let Some(code) = refused {
            return Err(code).into();
        }
        let exhausted = core.options.retry_limit.is_some_and(|max| u64::from(core.retries) >= max);
        if exhausted || !codes::on_error_retries(code) {
            core.cancel();
            return Err(codes::on_error_gives(code)).into();
        }
        let (options, created) = (core.options.clone(), core.created);
        let (retries, timer) = (core.retries, core.timer);
        core.reset(&self.database);
        core.options = options.after_on_error(core.options.clone());
        (core.created, core.timer, core.retries) = (created, timer, retries.saturating_add(1));
        let wait_ms = backoff_ms(&StoreError::from_code(code), retries, RANDOM.u64());
        let wait = Duration::from_millis(wait_ms.min(core.options.max_retry_delay_ms));
        let kill = core.seat.kill.clone();
        Op::Later(Box::pin(async move {
            tokio::select! {
                code = kill.killed() => Err(code),
                () = tokio::time::sleep(wait) => Ok(Output::Done),
            }
        }))
    }

    /// Forgets everything but the committed version (facts 11 and 20).
    pub(crate) fn reset(self: &Arc<Self>) {
        let mut core = self.lock();
        core.reset(&self.database);
        self.start_timer(&mut core);
    }

    /// Makes everything fail until a reset; also what a destroyed transaction does.
    pub(crate) fn cancel(&self) {
        self.lock().cancel();
    }

    /// The keys that the conflict ranges and rows of a call lie in.
    pub(super) fn note_dependence(core: &mut Core, writes: &WriteMap, range: &KeyRange) {
        for part in writes.dependent_parts(range) {
            core.reads.insert(&part);
        }
    }
}
