//! What an administrator may do to a next hop's queue, and to a message in it.

use super::actor::RelayActor;
use super::record::{self, Relay};
use super::resubmit::{self, Why};
use super::rows::{self, HopRow};
use super::run;
use super::settle::{Change, Place};
use crate::context::Claim;
use crate::targets::Failure;
use crate::tracking;
use base::{Error, Kind, QueueId, Result, Timestamp};
use contract_store::{Isolation, KeyRange, RangeRead, body, transact};
use contract_transport::relay::{Hop, Verb};
use contract_transport::tracking::Event;
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// How many messages that wait on their own one transaction lets go.
const PAGE: usize = 200;

/// Does something to a message.
pub(super) async fn message(actor: &mut RelayActor, queue: QueueId, verb: Verb) -> Result<()> {
    let claim = Claim::take_in(&actor.context, queue, actor.slot);
    let text = "The message is being sent at this moment";
    let _claim = claim.ok_or_else(|| Error::new(Kind::Conflict, text))?;
    let relay = record::load(&actor.context, actor.slot, queue).await?;
    let relay = relay.ok_or_else(|| record::unknown(queue))?;
    let mut change = match verb {
        Verb::Remove { tell_sender } => removed(&relay, tell_sender),
        Verb::Resubmit => resubmit::change(&actor.context, &relay, Why::Asked).await,
        _ => Change { left: Some(changed(&relay, verb)), ..Change::default() },
    };
    let event = match verb {
        Verb::Retry => Some(Event::Retry),
        Verb::Resume => Some(Event::Resume),
        Verb::Suspend => Some(Event::Suspend),
        Verb::Remove { .. } => Some(Event::Remove),
        // Told with where it goes.
        Verb::Resubmit => None,
    };
    let event = event.map(|event| tracking::steered(&actor.context, relay.origin, event));
    change.events.extend(event);
    let fence = Mutex::new(actor.fence);
    let place = Place { context: &actor.context, slot: actor.slot, fence: &fence };
    if !place.write(&relay, change).await? {
        let text = "The message has gone on meanwhile; look again";
        return Err(Error::new(Kind::Conflict, text));
    }
    if verb == Verb::Retry {
        let row = at_once(actor, &relay.hop).await?;
        actor.note_row(&relay.hop, row);
    }
    if verb == Verb::Retry || verb == Verb::Resume {
        actor.note_ready(relay.hop);
    }
    // What is due next may be another one.
    actor.wake_in(0);
    Ok(())
}

fn changed(relay: &Relay, verb: Verb) -> Relay {
    let mut left = relay.clone();
    let state = &mut left.state;
    match verb {
        Verb::Retry => {
            (state.suspended, state.crashes, state.next_attempt) = (false, 0, None);
        }
        Verb::Resume => state.suspended = false,
        Verb::Suspend | Verb::Remove { .. } | Verb::Resubmit => state.suspended = true,
    }
    left
}

fn removed(relay: &Relay, tell_sender: bool) -> Change {
    let recipients = relay.entry.envelope.recipients.iter().enumerate();
    let failures = recipients.map(|(place, one)| Failure::removed(one.address.clone(), place));
    let failures = if tell_sender { failures.collect() } else { Vec::new() };
    Change { failures, ..Change::default() }
}

/// Does something to a whole queue.
pub(super) async fn hop(actor: &mut RelayActor, hop: Hop, verb: Verb) -> Result<()> {
    let waits_alone = !let_go(actor, &|known| *known == hop, false).await?.is_empty();
    if !actor.knows(&hop) && !waits_alone {
        return Err(Error::not_found(format!("A queue for {hop}")));
    }
    let (slot, fence) = (actor.slot, actor.fence);
    let row = match verb {
        Verb::Retry => {
            let_go(actor, &|known| *known == hop, true).await?;
            at_once(actor, &hop).await?
        }
        Verb::Suspend | Verb::Resume => {
            let suspended = verb == Verb::Suspend;
            let change = |row| HopRow { suspended, ..row };
            run::save(&actor.context, slot, fence, &hop, change).await?
        }
        Verb::Resubmit => {
            let_go(actor, &|known| *known == hop, true).await?;
            actor.resubmit(hop);
            return Ok(());
        }
        Verb::Remove { .. } => {
            return Err(Error::invalid("Messages are removed one by one"));
        }
    };
    actor.note_row(&hop, row);
    actor.note_ready(hop);
    Ok(())
}

/// The hop may be tried now.
async fn at_once(actor: &RelayActor, hop: &Hop) -> Result<HopRow> {
    let change = |row| HopRow { next_attempt: Timestamp::default(), ..row };
    run::save(&actor.context, actor.slot, actor.fence, hop, change).await
}

/// Which of the wanted hops have messages that wait on their own; `frees` lets these go with their
/// hops.
pub(super) async fn let_go(
    actor: &RelayActor,
    wanted: &(dyn Fn(&Hop) -> bool + Sync),
    frees: bool,
) -> Result<BTreeSet<Hop>> {
    let (slot, fence) = (actor.slot, actor.fence);
    let (mut rest, mut all) = (Some(rows::all_later(slot)), BTreeSet::new());
    while let Some(range) = rest {
        let step = body((range, wanted), move |(range, wanted), tx, _| {
            async move {
                fence.check(tx).await?;
                let read = RangeRead::all(range).limit(PAGE);
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                let mut found = BTreeSet::new();
                for row in &page.rows {
                    let Some((_, queue)) = rows::parse_later(&row.key) else { continue };
                    let hop = rows::decode_hop(&row.value)?;
                    if !wanted(&hop) {
                        continue;
                    }
                    if frees {
                        tx.add_read_conflict(&KeyRange::single(&row.key))?;
                        tx.clear(&row.key);
                        tx.set(&rows::ready(slot, &hop, queue), b"");
                    }
                    found.insert(hop);
                }
                let last = page.rows.last().map(|row| KeyRange::single(&row.key).end);
                let begin = last.unwrap_or_else(|| range.begin.clone());
                Ok((found, page.more.then(|| KeyRange::new(begin, range.end.clone()))))
            }
            .boxed()
        });
        let (found, next) = transact(&actor.context.store, step).await?;
        all.extend(found);
        rest = next.filter(|_| frees || all.is_empty());
    }
    Ok(all)
}
