//! A database handle: the connection, the options that its transactions begin with, its watches.

use super::link::Link;
use super::options::{self, Options};
use super::transaction::Transaction;
use crate::codes;
use contract_store::limits::WATCHES_MAX;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that an option may allow.
const WATCHES_LIMIT: i64 = 1_000_000;

/// What transactions begin with.
#[derive(Clone)]
pub(super) struct Defaults {
    pub(super) options: Options,
    /// A bad option of the handle fails all its transactions (fact 12).
    pub(super) broken: Option<i32>,
}

pub(crate) struct Database {
    pub(super) link: Link,
    defaults: Mutex<Defaults>,
    watches: AtomicUsize,
    watches_max: AtomicUsize,
}

impl Database {
    pub(crate) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            link: Link::new(address),
            defaults: Mutex::new(Defaults { options: Options::default(), broken: None }),
            watches: AtomicUsize::new(0),
            watches_max: AtomicUsize::new(WATCHES_MAX),
        })
    }

    /// A handle of a tenant. There are no tenants, so nothing works on it.
    pub(crate) fn tenant(&self) -> Arc<Self> {
        let tenant = Self::new(self.link.address());
        tenant.defaults.lock().broken = Some(codes::NO_SUCH_TENANT);
        tenant
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Arc<Transaction> {
        Transaction::new(self.clone())
    }

    pub(super) fn defaults(&self) -> Defaults {
        self.defaults.lock().clone()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.link.address()
    }

    /// Sets an option. A bad value appears in the transactions.
    pub(crate) fn set_option(&self, option: i32, value: &[u8]) -> Result<(), i32> {
        let mut defaults = self.defaults.lock();
        let outcome = match option {
            // Sizes of caches, names of places, protocols of logs: nothing to do here.
            10 | 21 | 22 | 405 | 504..=506 | 800 | 900 => Ok(()),
            20 => options::number(value, 0, WATCHES_LIMIT).map(|max| {
                self.watches_max.store(max as usize, Ordering::Relaxed);
            }),
            26 => defaults.options.set(600, value),
            27 => defaults.options.set(601, value),
            500..=503 => defaults.options.set(option, value),
            700 => defaults.options.set(1100, value),
            701 => defaults.options.set(701, value),
            702 => defaults.options.set(712, value),
            _ => return Err(codes::BAD_OPTION),
        };
        if let Err(code) = outcome {
            defaults.broken.get_or_insert(code);
        }
        Ok(())
    }

    /// Takes one of the watches that there may be; the last one is never given (recorded in
    /// `watch_max_watches`).
    pub(super) fn take_watch(self: &Arc<Self>) -> Option<WatchSeat> {
        let max = self.watches_max.load(Ordering::Relaxed);
        let more = |taken: usize| (taken + 1 < max).then_some(taken + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.watches.fetch_update(set, fetch, more).ok().map(|_| WatchSeat(self.clone()))
    }
}

/// Held by a committed watch.
pub(super) struct WatchSeat(Arc<Database>);

impl Drop for WatchSeat {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::AcqRel);
    }
}
