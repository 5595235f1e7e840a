//! What an administrator may do to a queued message.

use crate::actor::{QueueActor, load};
use crate::bounce;
use crate::context::Claim;
use crate::settle::{self, Settled, Written};
use crate::state::State;
use crate::targets::Failure;
use crate::tracking;
use base::{Error, Kind, QueueId, Result, Timestamp};
use contract_transport::tracking::Event;
use contract_transport::{QueueEntry, QueuedMessage, RecipientState};

/// Lets a message go on now: waits are over, it is neither suspended nor poison any more.
pub(crate) async fn retry(actor: &mut QueueActor, queue: QueueId) -> Result<()> {
    change(actor, queue, Event::Retry, |state| {
        state.head.suspended = false;
        state.head.crashes = 0;
        if let Some(put_off) = &mut state.head.put_off {
            put_off.next_attempt = Timestamp::default();
        }
        for waiting in &mut state.waiting {
            waiting.next_attempt = Timestamp::default();
        }
    })
    .await
}

/// Holds a message back.
pub(crate) async fn suspend(actor: &mut QueueActor, queue: QueueId) -> Result<()> {
    change(actor, queue, Event::Suspend, |state| state.head.suspended = true).await
}

/// Holds a message back no more.
pub(crate) async fn resume(actor: &mut QueueActor, queue: QueueId) -> Result<()> {
    change(actor, queue, Event::Resume, |state| state.head.suspended = false).await
}

/// Takes a message out; who has it already keeps it.
pub(crate) async fn remove(
    actor: &mut QueueActor,
    queue: QueueId,
    tell_sender: bool,
) -> Result<()> {
    let (entry, mut state, _claim) = idle(actor, queue).await?;
    let mut reports = Vec::new();
    let mut events = vec![tracking::steered(&actor.context, queue, Event::Remove)];
    if tell_sender {
        let failures = undelivered(&entry, &state);
        events.extend(tracking::failed(&actor.context, (queue, entry.accepted), &failures));
        reports.extend(bounce::failed(&actor.context, &entry, &failures).await?);
    }
    state.head.resolved();
    state.waiting.clear();
    let what = Written { reports, events, ..Written::state(state) };
    let (context, slot, fence) = (&actor.context, actor.slot, &actor.fence);
    let settled = settle::write_down(context, slot, fence, &entry, what).await?;
    take_over(actor, queue, settled)
}

async fn change(
    actor: &mut QueueActor,
    queue: QueueId,
    event: Event,
    change: impl FnOnce(&mut State),
) -> Result<()> {
    let (entry, mut state, _claim) = idle(actor, queue).await?;
    change(&mut state);
    let (context, slot, fence) = (&actor.context, actor.slot, &actor.fence);
    let events = vec![tracking::steered(context, queue, event)];
    let what = Written { events, ..Written::state(state) };
    let settled = settle::write_down(context, slot, fence, &entry, what).await?;
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

/// A message that nobody is working on, and nobody will while the claim is held.
async fn idle(actor: &QueueActor, queue: QueueId) -> Result<(QueueEntry, State, Claim)> {
    let claim = match actor.messages.is_working(queue) {
        true => None,
        false => Claim::take(&actor.context, queue),
    };
    let text = "The message is being delivered at this moment";
    let claim = claim.ok_or_else(|| Error::new(Kind::Conflict, text))?;
    let found = load(&actor.context, actor.slot, queue).await?;
    let (entry, state) =
        found.ok_or_else(|| Error::not_found(format!("The queued message {queue}")))?;
    Ok((entry, state, claim))
}

/// The recipients that have not got it.
pub(crate) fn undelivered(entry: &QueueEntry, state: &State) -> Vec<Failure> {
    let failure = Failure::removed;
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
            let put_off = state.head.put_off.as_ref();
            let state = RecipientState::Waiting {
                attempts: put_off.map_or(0, |put_off| put_off.attempts),
                next_attempt: put_off.map_or(entry.accepted, |put_off| put_off.next_attempt),
                last_error: put_off.map(|put_off| put_off.last_error.clone()),
            };
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
        next_hop: None,
    }
}
