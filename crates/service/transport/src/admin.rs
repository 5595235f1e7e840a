//! What an administrator may do to a queued message.

use crate::actor::QueueActor;
use crate::bounce;
use crate::settle::{self, Settled};
use crate::state::State;
use crate::targets::Failure;
use base::{Error, Kind, QueueId, Result, Timestamp};
use contract_transport::{QueueEntry, QueuedMessage, RecipientState};
use std::sync::Arc;

/// Lets a message go on now: waits are over, it is neither suspended nor poison any more.
pub(crate) async fn retry(actor: &mut QueueActor, queue: QueueId) -> Result<()> {
    change(actor, queue, |state| {
        state.head.suspended = false;
        state.head.crashes = 0;
        for waiting in &mut state.waiting {
            waiting.next_attempt = Timestamp::default();
        }
    })
    .await
}

/// Holds a message back.
pub(crate) async fn suspend(actor: &mut QueueActor, queue: QueueId) -> Result<()> {
    change(actor, queue, |state| state.head.suspended = true).await
}

/// Takes a message out; who has it already keeps it.
pub(crate) async fn remove(
    actor: &mut QueueActor,
    queue: QueueId,
    tell_sender: bool,
) -> Result<()> {
    let (entry, mut state) = idle(actor, queue).await?;
    let mut reports = Vec::new();
    if tell_sender {
        let failures = undelivered(&entry, &state);
        reports.extend(bounce::failed(&actor.context, &entry, &failures).await?);
    }
    state.head.cursor = None;
    state.waiting.clear();
    let (context, slot, fence) = (&actor.context, actor.slot, &actor.fence);
    let settled = settle::write_down(context, slot, fence, &entry, state, reports).await?;
    take_over(actor, queue, settled)
}

async fn change(
    actor: &mut QueueActor,
    queue: QueueId,
    change: impl FnOnce(&mut State),
) -> Result<()> {
    let (entry, mut state) = idle(actor, queue).await?;
    change(&mut state);
    let (context, slot, fence) = (&actor.context, actor.slot, &actor.fence);
    let settled = settle::write_down(context, slot, fence, &entry, state, Vec::new()).await?;
    take_over(actor, queue, settled)
}

fn take_over(actor: &mut QueueActor, queue: QueueId, settled: Settled) -> Result<()> {
    let done = match &settled {
        Settled::Elsewhere => {
            Err(Error::new(Kind::Conflict, "The message has gone on meanwhile; look again"))
        }
        Settled::Gone | Settled::Kept(_) => Ok(()),
    };
    actor.settled(queue, settled);
    done
}

/// A message that nobody is working on.
async fn idle(actor: &QueueActor, queue: QueueId) -> Result<(Arc<QueueEntry>, State)> {
    match actor.messages.get(&queue) {
        None => Err(Error::not_found(format!("The queued message {queue}"))),
        Some(tracked) if tracked.working => {
            Err(Error::new(Kind::Conflict, "The message is being delivered at this moment"))
        }
        Some(tracked) => Ok((tracked.entry.clone(), tracked.state.clone())),
    }
}

/// The recipients that have not got it.
pub(crate) fn undelivered(entry: &QueueEntry, state: &State) -> Vec<Failure> {
    let failure = |address, recipient| Failure {
        address,
        recipient,
        status: "5.3.0",
        text: "An administrator removed the message from the queue".into(),
    };
    let first = state.head.cursor.map(|cursor| cursor.recipient);
    let unresolved = entry.envelope.recipients.iter().enumerate().skip(first.unwrap_or(usize::MAX));
    let unresolved = unresolved.map(|(place, recipient)| failure(recipient.address.clone(), place));
    let waiting = state.waiting.iter();
    waiting.map(|one| failure(one.address.clone(), one.recipient)).chain(unresolved).collect()
}

/// What an administrator sees of a message.
pub(crate) fn describe(entry: &QueueEntry, state: &State) -> QueuedMessage {
    let mut recipients: Vec<_> = state
        .waiting
        .iter()
        .map(|waiting| {
            let state = RecipientState::Waiting {
                attempts: waiting.attempts,
                next_attempt: waiting.next_attempt,
                last_error: Some(waiting.last_error.clone()),
            };
            (waiting.address.clone(), state)
        })
        .collect();
    if let Some(cursor) = state.head.cursor {
        let unresolved = entry.envelope.recipients.iter().skip(cursor.recipient);
        recipients.extend(unresolved.map(|recipient| {
            let next_attempt = entry.accepted;
            let state = RecipientState::Waiting { attempts: 0, next_attempt, last_error: None };
            (recipient.address.clone(), state)
        }));
    }
    QueuedMessage {
        queue: entry.queue,
        sender: entry.envelope.sender.clone(),
        recipients,
        size_bytes: entry.content.size_bytes(),
        accepted: entry.accepted,
        poison: state.is_poison(),
        suspended: state.head.suspended,
    }
}
