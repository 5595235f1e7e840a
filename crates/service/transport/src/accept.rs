//! Accepting: one transaction, an answer by the deadline, and what becomes of a commit that takes
//! longer.
//!
//! Whoever is told to try again will send the message again, as a new one. So before that is said,
//! the commit is withdrawn: a row under the queue id that every accept transaction reads. Whichever
//! of the two commits first wins, and the answer goes by that. Only a store that answers neither in
//! time leaves the caller without knowledge; then a commit that lands after all is taken back
//! instead of announced, and until that is done the queue, which may find it meanwhile, does not
//! begin with it ([`crate::context::InHand`]). All this costs nothing while commits are in time.

use crate::context::{Context, Hold};
use crate::queues::{Accepted, target};
use crate::scanners;
use crate::settle;
use crate::state::State;
use crate::tracking;
use base::router::Parcel;
use base::{Deadline, Error, Kind, QueueId, Result, Slot, Timestamp};
use contract_store::{Attempt, Body, BodyError, Transaction, transact};
use contract_transport::rows::{self, Ended};
use contract_transport::tracking::record;
use contract_transport::{Fate, QueueCall, Submission};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

/// Between a commit of unknown outcome and the next attempt at it.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// How often a withdrawal is tried; with the store's own attempts that is some minutes.
const WITHDRAWALS_MAX: u32 = 100;

/// Accepts, however long it takes.
///
/// # Errors
/// As [`contract_transport::Transport::accept`].
pub(crate) async fn accept(context: &Context, submission: Submission) -> Result<()> {
    let accepted = context.env.clock.now();
    commit(context, &submission, accepted).await?;
    Received::of(&submission).tell();
    settle::send_hint(context, submission, accepted);
    Ok(())
}

/// Accepts by the deadline or not at all.
///
/// # Errors
/// As [`contract_transport::Transport::accept_by`].
pub(crate) async fn accept_by(
    context: &Arc<Context>,
    submission: Submission,
    deadline: Deadline,
) -> Result<()> {
    let queue = submission.queue;
    let received = Received::of(&submission);
    let commit_by = contract_transport::commit_by(deadline);
    let hold = Hold::take(context, queue);
    let caller = Arc::new(Caller::new(hold.clone()));
    let accepting = tokio::spawn(until(context.clone(), submission, commit_by, caller.clone()));
    let error = match timeout_at(commit_by.instant(), accepting).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) if !is_unknown(&error) => return Err(error),
        Ok(Ok(Err(error))) => error,
        Ok(Err(error)) => Error::internal(format!("accepting: {error}")),
        Err(_) => Error::new(Kind::Timeout, "The request took too long"),
    };
    match settle_by(context, &hold, deadline).await {
        Ok(Some(Fate::Accepted)) => {
            caller.tell_once(&received);
            Ok(())
        }
        Ok(Some(Fate::Withdrawn)) => Err(error),
        // The commit may have come at the last moment.
        _ if !caller.leave() => Ok(()),
        Ok(None) => Err(error),
        Err(withdrawing) => {
            take_back_later(context, hold, withdrawing);
            Err(error)
        }
    }
}

/// Settles by the deadline whether a message is accepted, and goes on behind it.
///
/// # Errors
/// As [`contract_transport::Transport::withdraw_by`].
pub(crate) async fn withdraw_by(
    context: &Arc<Context>,
    queue: QueueId,
    deadline: Deadline,
) -> Result<Fate> {
    let hold = Hold::take(context, queue);
    match settle_by(context, &hold, deadline).await {
        Ok(Some(fate)) => Ok(fate),
        Ok(None) => Err(Error::unavailable(format!("{queue} could not be withdrawn"))),
        Err(withdrawing) => {
            take_back_later(context, hold, withdrawing);
            Err(Error::new(Kind::Timeout, "The request took too long"))
        }
    }
}

/// Withdraws, and gives what came of it by the deadline: `None` if that stays unknown. What is not
/// settled by then goes on, in the task that is the error.
async fn settle_by(
    context: &Arc<Context>,
    hold: &Hold,
    deadline: Deadline,
) -> Result<Option<Fate>, JoinHandle<Option<Fate>>> {
    let queue = hold.queue();
    let mut withdrawing = tokio::spawn(withdraw_surely(context.clone(), queue));
    match timeout_at(deadline.instant(), &mut withdrawing).await {
        Ok(fate) => {
            let fate = fate.ok().flatten();
            if fate == Some(Fate::Accepted) {
                hold.let_go();
                wake(context, queue);
            }
            Ok(fate)
        }
        Err(_) => Err(withdrawing),
    }
}

/// Takes a message back whose sender was told to try again, if it turns out to be accepted.
fn take_back_later(context: &Arc<Context>, hold: Arc<Hold>, withdrawing: JoinHandle<Option<Fate>>) {
    let queue = hold.queue();
    tracing::warn!(%queue, "nobody knows in time whether a message was accepted");
    let context = context.clone();
    tokio::spawn(async move {
        if let Ok(Some(Fate::Accepted)) = withdrawing.await {
            take_back(&context, queue).await;
        }
        drop(hold);
    });
}

/// Withdraws, again and again until the store answers; `None` if it never does.
async fn withdraw_surely(context: Arc<Context>, queue: QueueId) -> Option<Fate> {
    for _ in 0..WITHDRAWALS_MAX {
        match settle_fate(&context, queue).await {
            Ok(fate) => return Some(fate),
            Err(error) => tracing::debug!(%queue, %error, "withdrawing"),
        }
        tokio::time::sleep(RETRY_WAIT).await;
    }
    tracing::error!(%queue, "whether a message was accepted stays unknown");
    None
}

/// Settles whether a message is accepted. See [`contract_transport::Transport::withdraw`].
///
/// # Errors
/// The store's.
pub(crate) async fn withdraw(context: &Context, queue: QueueId) -> Result<Fate> {
    let fate = settle_fate(context, queue).await?;
    if fate == Fate::Accepted {
        wake(context, queue);
    }
    Ok(fate)
}

async fn settle_fate(context: &Context, queue: QueueId) -> Result<Fate> {
    let slot = context.control.slot_of_queue(queue);
    let fate = transact(&context.store, Withdraw { slot, queue }).await?;
    tracing::info!(%queue, ?fate, "withdrawn, if it was not accepted");
    Ok(fate)
}

/// Wakes the queue of a message that was accepted: whoever committed it may not have known, and
/// told nobody.
fn wake(context: &Context, queue: QueueId) {
    let slot = context.control.slot_of_queue(queue);
    context.router.hint(target::<Accepted>(slot), Parcel::typed(QueueCall::Wake));
}

/// Whether an error leaves open what the store has done or will do.
fn is_unknown(error: &Error) -> bool {
    error.is_temporary() && !matches!(error.kind, Kind::OutOfSpace | Kind::Overloaded)
}

/// Whether somebody still waits for the outcome of a commit.
struct Caller {
    /// Kept until it is known that the message is accepted, or neither the caller nor the commit is
    /// left to say what becomes of it.
    hold: Arc<Hold>,
    stands: AtomicU8,
    /// Whether the acceptance has been counted and traced.
    told: AtomicBool,
}

impl Caller {
    const COMMITTED: u8 = 1;
    const GONE: u8 = 2;

    fn new(hold: Arc<Hold>) -> Self {
        Self { hold, stands: AtomicU8::new(0), told: AtomicBool::new(false) }
    }

    /// The commit was made; answers whether the caller was still there.
    fn committed(&self) -> bool {
        self.stands.swap(Self::COMMITTED, Ordering::AcqRel) != Self::GONE
    }

    /// The caller goes; answers whether without having heard of a commit.
    fn leave(&self) -> bool {
        self.stands.swap(Self::GONE, Ordering::AcqRel) != Self::COMMITTED
    }

    /// Counts and traces the acceptance, unless that has been done: the commit may be heard of
    /// after a withdrawal has found it.
    fn tell_once(&self, received: &Received) {
        if !self.told.swap(true, Ordering::AcqRel) {
            received.tell();
        }
    }
}

/// Commits, a second time if the outcome of the first is not known and there is time, and
/// announces the message if its caller is still there.
async fn until(
    context: Arc<Context>,
    submission: Submission,
    deadline: Deadline,
    caller: Arc<Caller>,
) -> Result<()> {
    let accepted = context.env.clock.now();
    let mut result = commit(&context, &submission, accepted).await;
    if matches!(&result, Err(error) if is_unknown(error)) && deadline.remaining() > RETRY_WAIT {
        tracing::debug!(queue = %submission.queue, ?result, "accepting again");
        tokio::time::sleep(RETRY_WAIT).await;
        result = commit(&context, &submission, accepted).await;
    }
    result?;
    if caller.committed() {
        // Before it is announced: the hint may start the queue, which then finds it by itself.
        caller.hold.let_go();
        caller.tell_once(&Received::of(&submission));
        settle::send_hint(&context, submission, accepted);
    } else {
        take_back(&context, submission.queue).await;
    }
    Ok(())
}

async fn commit(context: &Context, submission: &Submission, accepted: Timestamp) -> Result<()> {
    let slot = context.control.slot_of_queue(submission.queue);
    let _waiting = context.load.waits(|| context.env.clock.monotonic());
    transact(&context.store, Accept { context, submission, slot, accepted }).await
}

/// What is traced of a message that was accepted.
struct Received {
    queue: QueueId,
    recipients: usize,
    size_bytes: u64,
}

impl Received {
    fn of(submission: &Submission) -> Self {
        Self {
            queue: submission.queue,
            recipients: submission.envelope.recipients.len(),
            size_bytes: submission.content.size_bytes(),
        }
    }

    /// Counts and traces it.
    fn tell(&self) {
        let Self { queue, recipients, size_bytes } = *self;
        metrics::counter!("rialto_transport_accepted_total").increment(1);
        tracing::info!(
            target: "tracking", event = "RECEIVE", source = "SMTP", %queue, recipients, size_bytes,
        );
    }
}

/// Takes a message out again whose sender was told to try again, unless somebody has begun.
async fn take_back(context: &Context, queue: QueueId) {
    let slot = context.control.slot_of_queue(queue);
    match transact(&context.store, TakeBack { context, slot, queue }).await {
        Ok(true) => tracing::info!(%queue, "accepted too late and taken out of its queue"),
        Ok(false) => tracing::warn!(%queue, "accepted too late; its sender may send it again"),
        Err(error) => tracing::error!(%queue, %error, "accepted too late and not taken back"),
    }
}

/// Writes a submission.
struct Accept<'a> {
    context: &'a Context,
    submission: &'a Submission,
    slot: Slot,
    accepted: Timestamp,
}

impl Body<()> for Accept<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'b, Result<(), BodyError>> {
        Box::pin(async move {
            let Self { context, submission, slot, accepted } = *self;
            if attempt.maybe_committed && rows::is_queued(tx, slot, submission.queue).await? {
                return Ok(());
            }
            match rows::write(tx, &*context.blobs, slot, submission, accepted).await {
                // It was accepted before, by an attempt nobody heard of, and is done.
                Err(BodyError::Refused(error)) if error.kind == Kind::AlreadyExists => Ok(()),
                written => {
                    written?;
                    record(tx, &tracking::received(context, submission, accepted))?;
                    Ok(tracking::record_all(tx, &scanners::said(context, submission, accepted))?)
                }
            }
        })
    }
}

/// See [`withdraw`]. May run twice: it finds its own row.
struct Withdraw {
    slot: Slot,
    queue: QueueId,
}

impl Body<Fate> for Withdraw {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Fate, BodyError>> {
        Box::pin(async move {
            let Self { slot, queue } = *self;
            match rows::ended(tx, slot, queue).await? {
                Some(Ended::Finished) => return Ok(Fate::Accepted),
                Some(Ended::Withdrawn) => return Ok(Fate::Withdrawn),
                None if rows::is_queued(tx, slot, queue).await? => return Ok(Fate::Accepted),
                None => {}
            }
            rows::set_ended(tx, slot, queue, Ended::Withdrawn);
            Ok(Fate::Withdrawn)
        })
    }
}

/// See [`take_back`]. It needs no fence: whoever delivers or writes down reads the entry, and
/// whichever commits first wins.
struct TakeBack<'a> {
    context: &'a Context,
    slot: Slot,
    queue: QueueId,
}

impl Body<bool> for TakeBack<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'b, Result<bool, BodyError>> {
        Box::pin(async move {
            let Self { context, slot, queue } = *self;
            let Some(entry) = rows::find_entry(tx, slot, queue).await? else {
                return Ok(rows::ended(tx, slot, queue).await? == Some(Ended::Withdrawn));
            };
            if State::load(tx, slot, queue).await?.head.token != 0 {
                return Ok(false);
            }
            rows::finish(tx, &*context.blobs, slot, queue, &entry.content, Ended::Withdrawn);
            Ok(true)
        })
    }
}
