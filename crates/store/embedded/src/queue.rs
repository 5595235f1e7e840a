//! Commits that wait for the committer. Bounded by count and bytes; who finds it full waits.

use contract_store::rules::{CommitRequest, WatchRequest};
use contract_store::{StoreResult, Version, Versionstamp};
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for so many bytes of a transaction; each takes at least one.
const PERMIT_BYTES: usize = 16 * 1024;
/// The whole queue: 4,096 small transactions, or 64 MB.
const PERMITS: usize = 4_096;
/// The most transactions in one group; a versionstamp counts them in 16 bits.
const GROUP_MAX: usize = 2_048;
/// A group takes no more once it has so many bytes: the record must fit into a segment together
/// with one transaction of the greatest size.
const GROUP_BYTES: usize = 4 << 20;
/// Background work waits for at most so many groups of others.
const BATCH_EVERY: u32 = 8;

/// How a commit ended, and the watches that were not registered.
pub(crate) type Outcome = (StoreResult<(Version, Versionstamp)>, Vec<WatchRequest>);

/// One commit on its way.
pub(crate) struct Work {
    pub(crate) request: CommitRequest,
    pub(crate) reply: oneshot::Sender<Outcome>,
    /// Whether it is background work.
    pub(crate) batch: bool,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What the committer is to do next.
pub(crate) enum Next {
    /// Commit these together.
    Group(Vec<Work>),
    /// Nothing came for as long as was asked.
    Idle,
    /// Nothing will come any more.
    Closed,
}

/// See the module's words.
pub(crate) struct Queue {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    normal: VecDeque<Work>,
    batch: VecDeque<Work>,
    /// Groups since background work had its turn.
    since_batch: u32,
    closed: bool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let permits = Arc::new(Semaphore::new(PERMITS));
        Self { permits, state: Mutex::new(State::default()), arrived: Condvar::new() }
    }

    /// Waits for a place for a transaction of this size; `None` once the queue is closed.
    pub(crate) async fn place(&self, size_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = (1 + size_bytes / PERMIT_BYTES).min(PERMITS) as u32;
        self.permits.clone().acquire_many_owned(permits).await.ok()
    }

    /// Puts a commit in; gives it back once the queue is closed.
    pub(crate) fn put(&self, work: Work) -> Result<(), Work> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(work);
        }
        match work.batch {
            true => state.batch.push_back(work),
            false => state.normal.push_back(work),
        }
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts commits back to the front, in order.
    pub(crate) fn put_back(&self, works: Vec<Work>) {
        let mut state = self.state.lock();
        for work in works.into_iter().rev() {
            state.normal.push_front(work);
        }
    }

    /// Takes all that wait, up to the size of a group; waits for the first one.
    pub(crate) fn take(&self, idle_after: Option<Duration>) -> Next {
        let mut state = self.state.lock();
        loop {
            if !state.normal.is_empty() || !state.batch.is_empty() {
                return Next::Group(state.group());
            }
            if state.closed {
                return Next::Closed;
            }
            match idle_after {
                None => self.arrived.wait(&mut state),
                Some(time) => {
                    if self.arrived.wait_for(&mut state, time).timed_out() {
                        return Next::Idle;
                    }
                }
            }
        }
    }

    /// Takes no more; what is in it is still served.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let state = self.state.lock();
        state.normal.len() + state.batch.len()
    }
}

impl State {
    fn group(&mut self) -> Vec<Work> {
        let mut group = Vec::new();
        let mut bytes = 0;
        self.since_batch += 1;
        if self.since_batch >= BATCH_EVERY {
            Self::move_some(&mut self.batch, &mut group, &mut bytes, 1);
        }
        Self::move_some(&mut self.normal, &mut group, &mut bytes, GROUP_MAX);
        if group.is_empty() {
            Self::move_some(&mut self.batch, &mut group, &mut bytes, GROUP_MAX);
        }
        if group.iter().any(|work| work.batch) {
            self.since_batch = 0;
        }
        group
    }

    fn move_some(from: &mut VecDeque<Work>, to: &mut Vec<Work>, bytes: &mut usize, most: usize) {
        let mut moved = 0;
        while moved < most && to.len() < GROUP_MAX && *bytes < GROUP_BYTES {
            let Some(work) = from.pop_front() else { return };
            *bytes += work.request.size_bytes;
            to.push(work);
            moved += 1;
        }
    }
}
