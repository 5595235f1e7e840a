//! What a call that waits keeps of its transaction: how it is ended, and what its commit waits for.

use contract_store::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

/// Ends calls that wait, with a code.
#[derive(Clone, Default)]
pub(super) struct Kill {
    code: Arc<AtomicI32>,
    token: CancellationToken,
}

impl Kill {
    pub(super) fn kill(&self, code: i32) {
        // The first reason stays.
        let _ = self.code.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.token.cancel();
    }

    pub(super) async fn killed(&self) -> i32 {
        self.token.cancelled().await;
        self.code.load(Ordering::Acquire)
    }
}

/// Reads that are under way; a commit waits for them.
#[derive(Default)]
pub(super) struct Reading {
    count: AtomicUsize,
    ended: Notify,
}

/// A read that is under way.
pub(super) struct ReadGuard(Arc<Reading>);

impl Reading {
    pub(super) fn begin(self: &Arc<Self>) -> ReadGuard {
        self.count.fetch_add(1, Ordering::AcqRel);
        ReadGuard(self.clone())
    }

    pub(super) async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

/// The transaction as it was when a call began.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) generation: u64,
    pub(super) kill: Kill,
    pub(super) version: Arc<OnceCell<Version>>,
    pub(super) reading: Arc<Reading>,
}
