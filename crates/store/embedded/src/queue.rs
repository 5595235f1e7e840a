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
    #[allow(clippy::result_large_err, reason = "only at the very end, and moved, not kept")]
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

    /// Takes no more, and forgets what is in it: those who wait learn that nobody knows.
    pub(crate) fn abandon(&self) {
        self.close();
        let mut state = self.state.lock();
        let forgotten = (std::mem::take(&mut state.normal), std::mem::take(&mut state.batch));
        drop(state);
        drop(forgotten);
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::field_reassign_with_default)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn work(queue: &Queue, batch: bool, size_bytes: usize) -> Work {
        let mut request = CommitRequest::default();
        request.size_bytes = size_bytes;
        let permit = queue.place(size_bytes).now_or_never().unwrap().unwrap();
        Work { request, reply: oneshot::channel().0, batch, permit }
    }

    fn group(queue: &Queue) -> Vec<Work> {
        match queue.take(None) {
            Next::Group(works) => works,
            Next::Idle | Next::Closed => Vec::new(),
        }
    }

    #[test]
    fn groups_end_after_enough_bytes() {
        let queue = Queue::new();
        for _ in 0..5 {
            assert!(queue.put(work(&queue, false, GROUP_BYTES / 2)).is_ok());
        }
        assert_eq!(group(&queue).len(), 2);
        assert_eq!((group(&queue).len(), group(&queue).len()), (2, 1));
    }

    #[test]
    fn background_work_gives_way_but_gets_its_turn() {
        let queue = Queue::new();
        assert!(queue.put(work(&queue, true, 1)).is_ok());
        assert!(queue.put(work(&queue, true, 1)).is_ok());
        let mut turns = Vec::new();
        for turn in 0..2 * BATCH_EVERY {
            assert!(queue.put(work(&queue, false, 1)).is_ok());
            if group(&queue).iter().any(|work| work.batch) {
                turns.push(turn + 1);
            }
        }
        assert_eq!(turns, [BATCH_EVERY, 2 * BATCH_EVERY]);
    }

    #[test]
    fn it_is_bounded_and_a_closed_one_takes_nothing() {
        let queue = Queue::new();
        let waiting: Vec<_> = (0..PERMITS).map(|_| work(&queue, false, 1)).collect();
        let mut next = Box::pin(queue.place(1));
        assert!((&mut next).now_or_never().is_none());
        drop(waiting);
        let permit = next.now_or_never().unwrap().unwrap();
        drop(permit);
        let late = work(&queue, false, 1);
        assert!(queue.put(work(&queue, false, 1)).is_ok());
        queue.close();
        assert!(queue.put(late).is_err());
        assert!(queue.place(1).now_or_never().unwrap().is_none());
        assert_eq!(group(&queue).len(), 1, "what was in it is still served");
        assert!(matches!(queue.take(None), Next::Closed));
    }
}
