//! Whether the store still works: stopped for good, or out of room for the moment.

use contract_store::{StoreError, StoreResult};
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// How often a full disk is tried again.
const RETRY_FULL: Duration = Duration::from_millis(50);

/// Who found no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// The table file cannot grow.
    Table = 1,
    /// No log segment could be made.
    Log = 2,
}

/// Shared by all parts of a store.
#[derive(Default)]
pub(crate) struct Health {
    stopped: AtomicBool,
    /// Bits of [`Full`].
    full: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reason: Option<String>,
    closing: bool,
}

impl Health {
    /// Stops the store for good; the first reason stays. Nothing is acknowledged any more.
    pub(crate) fn stop(&self, reason: String) {
        let mut state = self.state.lock();
        if state.reason.is_none() {
            tracing::error!(reason, "the store has stopped");
            metrics::counter!("rialto_store_stopped_total").increment(1);
            state.reason = Some(reason);
        }
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// An orderly end: nothing is served any more either, but it is no alarm.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.reason.get_or_insert_with(|| "it was closed".into());
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// The store is about to close: nobody waits for room any more.
    pub(crate) fn begin_closing(&self) {
        self.state.lock().closing = true;
        self.changed.notify_all();
    }

    /// Whether the store works.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] with the reason.
    pub(crate) fn check(&self) -> StoreResult<()> {
        if self.stopped.load(Ordering::SeqCst) { Err(self.stopped_error()) } else { Ok(()) }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn stopped_error(&self) -> StoreError {
        StoreError::Stopped(self.state.lock().reason.clone().unwrap_or_default())
    }

    /// Notes that the disk is, or is no longer, full.
    pub(crate) fn set_full(&self, who: Full, full: bool) {
        let bit = who as u8;
        let before = match full {
            true => self.full.fetch_or(bit, Ordering::SeqCst),
            false => self.full.fetch_and(!bit, Ordering::SeqCst),
        };
        if (before & bit != 0) != full {
            metrics::gauge!("rialto_store_disk_full").set(f64::from(u8::from(self.is_full())));
            match full {
                true => tracing::warn!(?who, "the disk is full: commits may be refused"),
                false => tracing::info!(?who, "the disk has room again"),
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst) != 0
    }

    /// Waits a moment for room on the disk.
    ///
    /// # Errors
    /// When the store stops or closes meanwhile.
    pub(crate) fn wait_for_room(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.closing && state.reason.is_none() {
            self.changed.wait_for(&mut state, RETRY_FULL);
        }
        if state.closing || state.reason.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "closed while the disk is full",
            ));
        }
        Ok(())
    }
}
