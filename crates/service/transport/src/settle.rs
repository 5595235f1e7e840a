//! Writing down what came of a round: the new state, or the end, and the bounce with it.

use crate::bounce;
use crate::context::Context;
use crate::round::Work;
use crate::state::State;
use crate::targets::Failure;
use base::router::Parcel;
use base::{QueueId, Result, Slot, Timestamp};
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction, transact};
use contract_transport::{QueueCall, QueueEntry, QueueHint, Submission, rows};
use futures::future::BoxFuture;
use std::sync::Arc;

/// How a message stands after a round.
pub(crate) enum Settled {
    /// It is done, or was ended by somebody else.
    Gone,
    /// It stays, in this state.
    Kept(State),
}

/// Writes down a round: `state` is what is left to do, `failures` are told to the sender.
///
/// # Errors
/// [`base::Kind::Fenced`] if the slot is somebody else's by now; the store's.
pub(crate) async fn settle(
    work: &Work,
    mut state: State,
    failures: Vec<Failure>,
) -> Result<Settled> {
    let context = &work.context;
    let mut reports = Vec::new();
    reports.extend(bounce::failed(context, &work.entry, &failures).await?);
    let now = context.env.clock.now();
    if is_delay_due(context, &work.entry, &state, now) {
        state.head.delay_told = true;
        reports.extend(bounce::delayed(context, &work.entry, &state.waiting).await?);
    }
    write_down(context, work.slot, &work.fence, &work.entry, state, reports).await
}

fn is_delay_due(context: &Context, entry: &QueueEntry, state: &State, now: Timestamp) -> bool {
    let due = entry.accepted.plus_ms(context.config.delay_notice_ms);
    !state.head.delay_told && !state.waiting.is_empty() && now >= due
}

/// Commits a message's new state with what it makes us send, and sends the hints.
///
/// # Errors
/// As [`settle`].
pub(crate) async fn write_down(
    context: &Context,
    slot: Slot,
    fence: &Fence,
    entry: &QueueEntry,
    state: State,
    reports: Vec<Submission>,
) -> Result<Settled> {
    let now = context.env.clock.now();
    let body = WriteDown { context, slot, fence, entry, state: &state, reports: &reports, now };
    let Some(revision) = transact(&context.store, body).await? else {
        return Ok(Settled::Gone);
    };
    for report in reports {
        send_hint(context, report, now);
    }
    if state.head.cursor.is_none() && state.waiting.is_empty() {
        return Ok(Settled::Gone);
    }
    let mut kept = state;
    kept.head.revision = revision;
    Ok(Settled::Kept(kept))
}

/// Tells the owner of a submission's slot.
pub(crate) fn send_hint(context: &Context, submission: Submission, accepted: Timestamp) {
    let Submission { queue, envelope, content, parsed, .. } = submission;
    let entry = Arc::new(QueueEntry { queue, envelope, content, accepted });
    let hint = QueueCall::Hint(QueueHint { queue, entry, parsed });
    let slot = context.control.slot_of_queue(queue);
    context.router.hint(context.target(slot), Parcel::typed(hint));
}

struct WriteDown<'a> {
    context: &'a Context,
    slot: Slot,
    fence: &'a Fence,
    entry: &'a QueueEntry,
    state: &'a State,
    reports: &'a [Submission],
    now: Timestamp,
}

/// The new revision; `None` if the message has ended or gone on meanwhile, so that nothing is to
/// be written (after an unknown commit this is our own doing).
impl Body<Option<u64>> for WriteDown<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'b, Result<Option<u64>, BodyError>> {
        Box::pin(self.write(tx))
    }
}

impl WriteDown<'_> {
    async fn write(&self, tx: &dyn Transaction) -> Result<Option<u64>, BodyError> {
        let queue: QueueId = self.entry.queue;
        let revision = self.state.head.revision + 1;
        self.fence.check(tx).await?;
        let key = rows::entry_key(self.slot, queue);
        if tx.get(&key, Isolation::Serializable).await?.is_none() {
            return Ok(None);
        }
        let stored = State::load(tx, self.slot, queue).await?;
        if stored.head.revision == revision {
            return Ok(Some(revision));
        }
        if stored.head.revision != self.state.head.revision {
            return Ok(None);
        }
        for report in self.reports {
            let slot = self.context.control.slot_of_queue(report.queue);
            rows::write(tx, &*self.context.blobs, slot, report, self.now).await?;
        }
        if self.state.head.cursor.is_none() && self.state.waiting.is_empty() {
            rows::finish(tx, &*self.context.blobs, self.slot, queue, &self.entry.content);
        } else {
            let mut state = self.state.clone();
            state.head.revision = revision;
            state.save(tx, self.slot, queue)?;
        }
        Ok(Some(revision))
    }
}
