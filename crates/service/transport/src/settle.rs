//! Writing down what came of a round: the new state, or the end, and the bounce with it.

use crate::bounce;
use crate::context::Context;
use crate::met::{self, Met};
use crate::queues::{Accepted, target};
use crate::relay::hand_over::{self, HandOver};
use crate::round::Work;
use crate::rules::{Forked, Successor};
use crate::state::State;
use crate::success::Success;
use crate::targets::{Became, Failure};
use crate::tracking;
use base::router::Parcel;
use base::{QueueId, Result, Slot, Timestamp};
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Transaction, transact};
use contract_transport::rows::{self, Ended};
use contract_transport::tracking::Tracked;
use contract_transport::{QueueCall, QueueEntry, QueueHint, Submission};
use futures::future::BoxFuture;
use std::sync::Arc;

/// How a message stands after a round.
pub(crate) enum Settled {
    /// It is done, or was ended by somebody else.
    Gone,
    /// It stays, in this state.
    Kept(State),
    /// Somebody else has gone on with it: nothing was written, read it again.
    Elsewhere,
}

/// What is written down of a message.
pub(crate) struct Written {
    /// What is left to do.
    pub(crate) state: State,
    /// What goes on to other servers.
    pub(crate) relays: Vec<HandOver>,
    /// What it makes us send.
    pub(crate) reports: Vec<Submission>,
    /// What takes its place, after the rules.
    pub(crate) forks: Vec<Successor>,
    /// What is tracked of it, beside what follows from the rest.
    pub(crate) events: Vec<Tracked>,
    /// What a piece of its recipients has met, for those that follow.
    pub(crate) met: Vec<Met>,
}

impl Written {
    /// A new state, and nothing else.
    pub(crate) fn state(state: State) -> Self {
        Self {
            state,
            relays: Vec::new(),
            reports: Vec::new(),
            forks: Vec::new(),
            events: Vec::new(),
            met: Vec::new(),
        }
    }
}

/// Writes down a round: `state` is what is left to do, `relays` goes on to other servers,
/// `failures` are told to the sender.
///
/// # Errors
/// [`base::Kind::Fenced`] if the slot is somebody else's by now; the store's.
pub(crate) async fn settle(
    work: &Work,
    mut state: State,
    relays: Vec<HandOver>,
    (failures, successes): (&[Failure], &[Success]),
    became: &Became,
) -> Result<Settled> {
    let context = &work.context;
    let stages = (&work.state, &state);
    let events = tracking::round(context, &work.entry, stages, failures, became);
    let mut reports = Vec::new();
    reports.extend(bounce::failed(context, &work.entry, failures).await?);
    reports.extend(bounce::succeeded(context, &work.entry, successes).await?);
    let now = context.env.clock.now();
    if is_delay_due(context, &work.entry, &state, now) {
        state.head.delay_told = true;
        reports.extend(bounce::delayed(context, &work.entry, &state.waiting).await?);
    }
    let met = became.met.clone();
    let what = Written { relays, reports, events, met, ..Written::state(state) };
    write_down(context, work.slot, &work.fence, &work.entry, what).await
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
    what: Written,
) -> Result<Settled> {
    let now = context.env.clock.now();
    let mut what = what;
    for report in &what.reports {
        what.events.extend(tracking::reported(context, entry.queue, report));
    }
    for fork in &what.forks {
        what.events.extend(tracking::forked(context, entry.queue, fork));
    }
    let base = std::mem::replace(&mut what.state.head.token, context.token());
    let body = WriteDown { context, slot, fence, entry, base, what: &what, now };
    match transact(&context.store, body).await? {
        Outcome::Gone => return Ok(Settled::Gone),
        Outcome::Elsewhere => return Ok(Settled::Elsewhere),
        Outcome::Now => {}
    }
    let Written { state, relays, reports, forks, .. } = what;
    hand_over::tell(context, &relays);
    for report in reports {
        send_hint(context, report, now);
    }
    for fork in forks {
        // A hint would tell of a message that the rules have not seen.
        let slot = context.control.slot_of_queue(fork.message.queue);
        context.router.hint(target::<Accepted>(slot), Parcel::typed(QueueCall::Wake));
    }
    Ok(if state.is_finished() { Settled::Gone } else { Settled::Kept(state) })
}

/// Writes down what the rules have made of a message: it ends, and others take its place.
///
/// # Errors
/// As [`settle`].
pub(crate) async fn fork(work: &Work, forked: Forked) -> Result<Settled> {
    let Forked { messages: forks, failures, deleted } = forked;
    let mut state = State { head: work.state.head.clone(), waiting: Vec::new() };
    state.head.resolved();
    let report = bounce::failed(&work.context, &work.entry, &failures).await?;
    let reports = report.into_iter().collect();
    let told = (work.entry.queue, work.entry.accepted);
    let failed = tracking::failed(&work.context, told, &failures);
    let deleted = tracking::deleted(&work.context, told, &deleted);
    let events = failed.into_iter().chain(deleted).collect();
    let what = Written { reports, forks, events, ..Written::state(state) };
    write_down(&work.context, work.slot, &work.fence, &work.entry, what).await
}

/// Tells the owner of a submission's slot.
pub(crate) fn send_hint(context: &Context, submission: Submission, accepted: Timestamp) {
    let Submission { queue, envelope, content, parsed, .. } = submission;
    let entry = Arc::new(QueueEntry { queue, envelope, content, accepted });
    let hint = QueueCall::Hint(QueueHint { queue, entry, parsed });
    let slot = context.control.slot_of_queue(queue);
    context.router.hint(target::<Accepted>(slot), Parcel::typed(hint));
}

struct WriteDown<'a> {
    context: &'a Context,
    slot: Slot,
    fence: &'a Fence,
    entry: &'a QueueEntry,
    /// The token of the state that the round began with.
    base: u128,
    what: &'a Written,
    now: Timestamp,
}

/// What a transaction came to.
enum Outcome {
    /// The state, or the end, is written.
    Now,
    /// The message had ended before.
    Gone,
    /// The message had gone on before.
    Elsewhere,
}

impl Body<Outcome> for WriteDown<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'b, Result<Outcome, BodyError>> {
        Box::pin(self.write(tx, attempt))
    }
}

impl WriteDown<'_> {
    async fn write(&self, tx: &dyn Transaction, attempt: Attempt) -> Result<Outcome, BodyError> {
        let queue: QueueId = self.entry.queue;
        let Written { state, relays, reports, forks, events, met } = self.what;
        self.fence.check(tx).await?;
        if !rows::is_queued(tx, self.slot, queue).await? {
            // After an unknown commit that was to end the message, it was this very one.
            let ours = attempt.maybe_committed && state.is_finished();
            return Ok(if ours { Outcome::Now } else { Outcome::Gone });
        }
        let stored = State::load(tx, self.slot, queue).await?.head.token;
        if stored == state.head.token {
            return Ok(Outcome::Now);
        }
        if stored != self.base {
            return Ok(Outcome::Elsewhere);
        }
        for relay in relays {
            relay.write(tx, self.context).await?;
        }
        for report in reports {
            let slot = self.context.control.slot_of_queue(report.queue);
            rows::write(tx, &*self.context.blobs, slot, report, self.now).await?;
        }
        for fork in forks {
            let (queue, slot) =
                (fork.message.queue, self.context.control.slot_of_queue(fork.message.queue));
            rows::write(tx, &*self.context.blobs, slot, &fork.message, self.entry.accepted).await?;
            if fork.is_ruled {
                State::ruled(queue.0.max(1)).save(tx, slot, queue)?;
            }
        }
        if state.is_finished() {
            let (blobs, content) = (&*self.context.blobs, &self.entry.content);
            rows::finish(tx, blobs, self.slot, queue, content, Ended::Finished);
        } else {
            state.save(tx, self.slot, queue)?;
            met::remember(tx, self.slot, queue, met);
        }
        tracking::record_all(tx, events)?;
        Ok(Outcome::Now)
    }
}
