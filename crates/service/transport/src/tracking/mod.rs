//! The events of this service's stages, and finding them again.
//!
//! Each function here says in the words of the contract what a stage has come to; the stage's own
//! transaction writes it.

mod search;

pub(crate) use search::{forget_old, search, story};

use crate::context::Context;
use crate::follow::Step;
use crate::relay::record::Relay;
use crate::relay::settle::describe;
use crate::rules::Successor;
use crate::state::{State, Waiting};
use crate::targets::{Became, Expanded, Failure, HELD_BACK};
use base::{Address, NodeId, QueueId, Result, Timestamp};
use contract_directory::RECIPIENTS_LEVEL;
use contract_store::Transaction;
use contract_transport::courier::{Answer, Verdict};
use contract_transport::relay::Hop;
use contract_transport::tracking::{Event, Involved, Origin, Tracked, record};
use contract_transport::{QueueEntry, Submission};
use std::collections::HashSet;

/// Writes events in the caller's transaction.
///
/// # Errors
/// As [`record`].
pub(crate) fn record_all(tx: &dyn Transaction, events: &[Tracked]) -> Result<()> {
    events.iter().try_for_each(|event| record(tx, event))
}

fn here(context: &Context) -> (Timestamp, NodeId) {
    (context.env.clock.now(), context.control.node())
}

/// A message was accepted.
pub(crate) fn received(context: &Context, submission: &Submission, accepted: Timestamp) -> Tracked {
    let place = (accepted, context.control.node());
    Tracked::begun(place, (Event::Receive, Origin::Smtp), submission)
}

/// What a round on a message has come to, but for what is in mailboxes: who is to wait, who will
/// never get it, and which groups became which members.
pub(crate) fn round(
    context: &Context,
    entry: &QueueEntry,
    (before, after): (&State, &State),
    failures: &[Failure],
    became: &Became,
) -> Vec<Tracked> {
    let (place, queue) = (here(context), entry.queue);
    let new = |event, origin| Tracked::new(place, event, origin, queue).since(entry.accepted);
    let expanded = became.expanded.iter().map(|Expanded { group, members, .. }| {
        new(Event::Expand, Origin::Resolver)
            .about(members.iter().cloned().map(Involved::plain))
            .because(&group.to_string())
    });
    let mut events: Vec<Tracked> = expanded.collect();
    if !became.held_back.is_empty() {
        let held = became.held_back.iter();
        let told = held.map(|to| Involved::told(to.clone(), "5.7.1", HELD_BACK));
        events.push(new(Event::Fail, Origin::Resolver).about(told));
    }
    // Nodes of before cannot read them.
    if context.control.feature_level() >= RECIPIENTS_LEVEL {
        for event in [Event::Resolve, Event::Redirect] {
            let steps = became.steps.iter().filter(|step| step.event == event);
            let told: Vec<_> = steps
                .map(|Step { from, to, .. }| Involved::told(to.clone(), "", &from.to_string()))
                .collect();
            if !told.is_empty() {
                events.push(new(event, Origin::Resolver).about(told));
            }
        }
    }
    let known: HashSet<(&Address, u32)> =
        before.waiting.iter().map(|one| (&one.address, one.attempts)).collect();
    let is_new = |one: &&Waiting| !known.contains(&(&one.address, one.attempts));
    let deferred: Vec<&Waiting> = after.waiting.iter().filter(is_new).collect();
    if let Some(first) = deferred.first() {
        let why = again(first.attempts, first.next_attempt, place.0);
        let told = deferred
            .iter()
            .map(|one| Involved::told(one.address.clone(), "4.4.7", &one.last_error));
        events.push(new(Event::Defer, Origin::StoreDriver).about(told).because(&why));
    }
    if let Some(put_off) = after.head.put_off.as_ref()
        && after.head.put_off != before.head.put_off
    {
        let why = again(put_off.attempts, put_off.next_attempt, place.0);
        let why = format!("{}: {}; {why}", put_off_at(after), put_off.last_error);
        let origin = if after.head.ruled { Origin::Resolver } else { Origin::Agent };
        events.push(new(Event::Defer, origin).because(&why));
    }
    events.extend(failed(context, (queue, entry.accepted), failures));
    events
}

/// What could not be done with a message that is put off.
pub(crate) fn put_off_at(state: &State) -> &'static str {
    match state.head.ruled {
        true => "recipients cannot be resolved",
        false => "the transport rules cannot be evaluated",
    }
}

fn again(attempts: u32, next: Timestamp, now: Timestamp) -> String {
    let minutes = (next.unix_ms - now.unix_ms).max(0) / 60_000;
    format!("attempt {attempts}; the next in {minutes} min")
}

/// Handling a message has crashed.
pub(crate) fn crashed(context: &Context, entry: &QueueEntry, state: &State) -> Tracked {
    let (event, origin) = match state.is_poison() {
        true => (Event::PoisonMessage, Origin::PoisonMessage),
        false => (Event::Defer, Origin::Queue),
    };
    let why = format!("handling it failed inside, {} times by now", state.head.crashes);
    Tracked::new(here(context), event, origin, entry.queue).because(&why).since(entry.accepted)
}

/// Who will never get a message.
pub(crate) fn failed(
    context: &Context,
    (queue, accepted): (QueueId, Timestamp),
    failures: &[Failure],
) -> Option<Tracked> {
    let first = failures.first()?;
    let origin = match (&first.remote, &first.status[..]) {
        (Some(_), _) => Origin::Smtp,
        (_, "4.4.7") => Origin::Queue,
        (_, "5.3.0") => Origin::Admin,
        (_, status) if status.starts_with("5.1.") => Origin::Resolver,
        (_, "5.2.3" | "5.5.3") => Origin::Resolver,
        (_, status) if status.starts_with("5.4.") => Origin::Routing,
        (_, status) if status.starts_with("5.7.") => Origin::Agent,
        _ => Origin::StoreDriver,
    };
    let told = failures
        .iter()
        .map(|failure| Involved::told(failure.address.clone(), &failure.status, &failure.text));
    let event = Tracked::new(here(context), Event::Fail, origin, queue).since(accepted);
    let server = first.remote.as_ref().and_then(|answer| answer.host.clone());
    Some(Tracked { server, ..event.about(told) })
}

/// The sender of a message is told something: in the message's story, and as the beginning of the
/// report's own.
pub(crate) fn reported(context: &Context, queue: QueueId, report: &Submission) -> [Tracked; 2] {
    let place = here(context);
    let to = report.envelope.recipients.iter().map(|one| Involved::plain(one.address.clone()));
    let dsn = Tracked::new(place, Event::Dsn, Origin::Dsn, queue).about(to);
    let begun = Tracked::begun(place, (Event::Receive, Origin::Dsn), report);
    [Tracked { related: Some(report.queue), ..dsn }, Tracked { related: Some(queue), ..begun }]
}

/// Rules have deleted a message for some, and nobody is told but here.
pub(crate) fn deleted(
    context: &Context,
    (queue, accepted): (QueueId, Timestamp),
    deleted: &[(Address, String)],
) -> Option<Tracked> {
    if deleted.is_empty() {
        return None;
    }
    let told = deleted.iter().map(|(address, rules)| {
        Involved::told(address.clone(), "5.7.1", &format!("deleted by the rules {rules}"))
    });
    let event = Tracked::new(here(context), Event::Fail, Origin::Agent, queue).since(accepted);
    Some(event.about(told))
}

/// A message has taken the place of another one, after the rules.
pub(crate) fn forked(context: &Context, queue: QueueId, fork: &Successor) -> [Tracked; 2] {
    let place = here(context);
    let Successor { message: fork, rules, .. } = fork;
    let to = fork.envelope.recipients.iter().map(|one| Involved::plain(one.address.clone()));
    let moved = Tracked::new(place, Event::Transfer, Origin::Agent, queue).about(to);
    let moved = moved.because(&format!("by the rules {rules}"));
    let begun = Tracked::begun(place, (Event::Receive, Origin::Agent), fork);
    [Tracked { related: Some(fork.queue), ..moved }, Tracked { related: Some(queue), ..begun }]
}

/// A message comes back from the queue of a next hop, to be routed anew.
pub(crate) fn resubmitted(
    context: &Context,
    queue: QueueId,
    again: &Submission,
    origin: Origin,
    why: &str,
) -> [Tracked; 2] {
    let place = here(context);
    let to = again.envelope.recipients.iter().map(|one| Involved::plain(one.address.clone()));
    let moved = Tracked::new(place, Event::Transfer, origin, queue).about(to).because(why);
    let begun = Tracked::begun(place, (Event::Receive, Origin::Queue), again);
    let begun = Tracked { at: place.0, latency_ms: None, ..begun };
    [Tracked { related: Some(again.queue), ..moved }, Tracked { related: Some(queue), ..begun }]
}

/// A message goes on to the queue of a next hop; `signed` says by whom it was signed.
pub(crate) fn transferred(context: &Context, relay: &Relay, signed: &str) -> Tracked {
    let entry = &relay.entry;
    let to = entry.envelope.recipients.iter().map(|one| Involved::plain(one.address.clone()));
    let event = Tracked::new(here(context), Event::Transfer, Origin::Routing, relay.origin);
    Tracked {
        connector: Some(relay.hop.to_string()),
        related: Some(entry.queue),
        reason: signed.to_owned(),
        ..event.about(to).since(entry.accepted)
    }
}

/// Another server has taken a message for some of its recipients.
pub(crate) fn sent(
    context: &Context,
    hop: &Hop,
    relay: &Relay,
    verdicts: &[Verdict],
) -> Option<Tracked> {
    let recipients = relay.entry.envelope.recipients.iter().zip(verdicts);
    let taken: Vec<(&Address, &Answer)> = recipients
        .filter_map(|(one, verdict)| match verdict {
            Verdict::Relayed { answer, .. } => Some((&one.address, answer)),
            Verdict::Later(_) | Verdict::Failed(_) => None,
        })
        .collect();
    let (_, first) = taken.first()?;
    let to = taken.iter().map(|(address, answer)| {
        Involved::told((*address).clone(), &answer.status, &describe(answer))
    });
    let event = Tracked::new(here(context), Event::Send, Origin::Smtp, relay.origin);
    Some(Tracked {
        connector: Some(hop.to_string()),
        server: first.host.clone(),
        related: Some(relay.entry.queue),
        ..event.about(to).since(relay.entry.accepted)
    })
}

/// What is left of a message for a next hop, if an attempt at it has failed.
pub(crate) fn put_off(context: &Context, base: &Relay, left: &Relay) -> Option<Tracked> {
    let (before, after) = (&base.state, &left.state);
    let crashed = after.crashes > before.crashes;
    if !crashed && after.attempts == before.attempts {
        return None;
    }
    let (event, origin) = match left.is_poison() && crashed {
        true => (Event::PoisonMessage, Origin::PoisonMessage),
        false => (Event::Defer, Origin::Smtp),
    };
    let place = here(context);
    let to = left.entry.envelope.recipients.iter();
    let to = to.map(|one| Involved::told(one.address.clone(), "4.4.7", &after.last_error));
    let why = again(after.attempts, after.next_attempt.unwrap_or(place.0), place.0);
    let event = Tracked::new(place, event, origin, base.origin);
    Some(Tracked {
        connector: Some(base.hop.to_string()),
        related: Some(base.entry.queue),
        ..event.about(to).because(&why).since(base.entry.accepted)
    })
}

/// An administrator has done something with a message.
pub(crate) fn steered(context: &Context, queue: QueueId, event: Event) -> Tracked {
    Tracked::new(here(context), event, Origin::Admin, queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_rules_is_told_so() {
        assert!(put_off_at(&State::default()).contains("rules"));
        assert!(put_off_at(&State::ruled(1)).contains("recipients"));
    }
}
