//! One connection to a next hop, and the messages that it transfers one after the other.

use super::record::{self, Relay};
use super::settle::{self, Change, Place};
use crate::context::{Claim, Context};
use crate::{signing, tracking};
use base::{Deadline, Error, QueueId, Result, Slot, Timestamp};
use contract_control::Fence;
use contract_transport::connector::SendConnector;
use contract_transport::courier::{
    Answer, Conversation, Courier, NextHop, Outgoing, Transferred, Unreachable, Verdict,
};
use contract_transport::relay::Hop;
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// How long finding a host that talks may take, all hosts together.
const OPEN_TIME: Duration = Duration::from_secs(180);

/// How long a courier may be late.
const GRACE: Duration = Duration::from_secs(10);

/// How long one transfer may take, whatever the far side does; it has times of its own for each
/// step (RFC 5321 §4.5.3.2), which end long before.
const TRANSFER_TIME: Duration = Duration::from_secs(3 * 3600);

/// How soon a message is tried again that crashed the attempt, in milliseconds.
const CRASHED_WAIT_MS: i64 = 60_000;

/// What runs of one hop are told from outside.
#[derive(Default)]
pub(crate) struct Steering {
    /// There may be more to send.
    more: AtomicBool,
    /// Nothing new is to be begun.
    stop: AtomicBool,
    changed: Notify,
}

impl Steering {
    pub(crate) fn tell_more(&self) {
        self.more.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    pub(crate) fn tell_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether there may be more, which is then looked for.
    pub(crate) fn take_more(&self) -> bool {
        self.more.swap(false, Ordering::AcqRel)
    }

    /// Something has changed; for one waiter.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// What the lanes of one run share.
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) courier: Arc<dyn Courier>,
    pub(crate) slot: Slot,
    pub(crate) fence: Mutex<Fence>,
    pub(crate) hop: Hop,
    pub(crate) next_hop: NextHop,
    pub(crate) connector: Arc<SendConnector>,
    pub(crate) steering: Arc<Steering>,
    pub(crate) queue: Mutex<Queue>,
    /// Connections that are open.
    pub(crate) open: AtomicUsize,
    /// Whether there was one at all.
    pub(crate) was_open: AtomicBool,
}

/// The messages that a run knows of.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<QueueId>,
    /// Those that wait or are being transferred.
    pub(crate) taken: HashSet<QueueId>,
}

/// How a lane ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// There is nothing more to do, or another connection is to do it.
    Done,
    /// There is no connection now.
    Later(Answer),
    /// There never will be.
    Never(Answer),
}

/// An answer of our own.
pub(crate) fn own(status: &str, text: impl Into<String>) -> Answer {
    Answer { code: 0, status: status.to_owned(), text: text.into(), host: None }
}

/// Counts an open connection.
struct Open<'s>(&'s Shared);

impl<'s> Open<'s> {
    fn new(shared: &'s Shared) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        shared.was_open.store(true, Ordering::Release);
        shared.steering.wake();
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Opens a connection and transfers what waits.
///
/// # Errors
/// Where what came of a message could not be written down, or read: the slot has to be looked at
/// again.
pub(crate) async fn lane(shared: Arc<Shared>, _place: OwnedSemaphorePermit) -> Result<Ended> {
    let mut conversation = match open(&shared).await {
        Ok(conversation) => conversation,
        Err(Unreachable::Later(answer)) => return Ok(Ended::Later(answer)),
        Err(Unreachable::Never(answer)) => return Ok(Ended::Never(answer)),
    };
    let open = Open::new(&shared);
    for _ in 0..shared.context.config.messages_per_connection.max(1) {
        let Some(queue) = shared.take() else { break };
        let sent = send(&shared, &mut *conversation, queue).await;
        shared.queue.lock().taken.remove(&queue);
        if !sent? {
            return Ok(Ended::Done);
        }
    }
    // It takes part in nothing any more, and a far side that is slow to say goodbye holds up nobody.
    drop(open);
    conversation.quit().await;
    Ok(Ended::Done)
}

impl Shared {
    fn take(&self) -> Option<QueueId> {
        if self.steering.is_stopping() {
            return None;
        }
        self.queue.lock().waiting.pop_front()
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { context: &self.context, slot: self.slot, fence: &self.fence }
    }
}

async fn open(shared: &Shared) -> Result<Box<dyn Conversation>, Unreachable> {
    let Shared { courier, next_hop, connector, .. } = shared;
    let opening = courier.open(next_hop, &connector.manner, Deadline::after(OPEN_TIME));
    let opening = AssertUnwindSafe(opening).catch_unwind();
    let broken = |text: &str| Unreachable::Later(own("4.4.1", text));
    match tokio::time::timeout(OPEN_TIME + GRACE, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(_)) => Err(broken("Connecting failed inside")),
        Err(_) => Err(broken("No host answered in time")),
    }
}

/// Transfers one message and writes down what came of it; answers whether another one may follow.
async fn send(
    shared: &Shared,
    conversation: &mut dyn Conversation,
    queue: QueueId,
) -> Result<bool> {
    let Shared { context, slot, .. } = shared;
    let Some(_claim) = Claim::take_in(context, queue, *slot) else {
        // An administrator is at it, and tells us when that is over.
        return Ok(true);
    };
    let Some(relay) = record::load(context, *slot, queue).await? else {
        let fence = *shared.fence.lock();
        super::run::forget(context, (*slot, fence), &shared.hop, queue).await?;
        return Ok(true);
    };
    // Its own time does not matter here: whoever let it go with its hop has seen to that.
    if relay.is_set_aside() {
        return Ok(true);
    }
    let outgoing = outgoing(context, &relay);
    let transfer = AssertUnwindSafe(conversation.transfer(&outgoing)).catch_unwind();
    let (change, goes_on) = match tokio::time::timeout(TRANSFER_TIME, transfer).await {
        Ok(Ok(Ok(Transferred { verdicts, may_go_on }))) => {
            trace(shared, &relay, &verdicts);
            let mut change = settle::decide(&relay, &verdicts, now(context), &context.config);
            change.events.extend(tracking::sent(context, &shared.hop, &relay, &verdicts));
            (change, may_go_on)
        }
        Ok(Ok(Err(error))) => (later(shared, &relay, &error), false),
        Ok(Err(_panic)) => (crashed(&relay, now(context)), false),
        Err(_) => {
            let error = Error::unavailable("The next hop did not come to an end");
            (later(shared, &relay, &error), false)
        }
    };
    let is_written = shared.place().write_surely(&relay, change).await?;
    if !is_written {
        tracing::warn!(%queue, "somebody else has gone on with a message meanwhile");
    }
    Ok(goes_on)
}

fn now(context: &Context) -> Timestamp {
    context.env.clock.now()
}

fn outgoing(context: &Arc<Context>, relay: &Relay) -> Outgoing {
    let envelope = &relay.entry.envelope;
    Outgoing {
        queue: relay.entry.queue,
        sender: envelope.sender.clone(),
        recipients: envelope.recipients.clone(),
        content: relay.entry.content.clone(),
        size_bytes: relay.entry.content.size_bytes(),
        is_8bit: relay.is_8bit,
        needs_smtputf8: relay.needs_smtputf8,
        envelope_id: envelope.envelope_id.clone(),
        return_headers_only: envelope.return_headers_only,
        require_tls: envelope.require_tls,
        signed_bytes: signing::signed_bytes(&relay.entry.content),
        signer: signing::signer(context, &relay.entry),
    }
}

/// Our own side failed: the message cannot be read now.
fn later(shared: &Shared, relay: &Relay, error: &Error) -> Change {
    tracing::warn!(queue = %relay.entry.queue, %error, "a message could not be sent");
    let verdict = Verdict::Later(own("4.3.0", error.text.to_string()));
    let verdicts = vec![verdict; relay.entry.envelope.recipients.len()];
    settle::decide(relay, &verdicts, now(&shared.context), &shared.context.config)
}

/// The attempt crashed; after the second time the message is set aside.
fn crashed(relay: &Relay, now: Timestamp) -> Change {
    let mut left = relay.clone();
    left.state.crashes += 1;
    left.state.last_error = "Sending the message failed inside".to_owned();
    left.state.next_attempt = Some(now.plus_ms(CRASHED_WAIT_MS));
    let (queue, crashes) = (relay.entry.queue, left.state.crashes);
    tracing::error!(%queue, crashes, poison = left.is_poison(), "a message crashed its transfer");
    Change { left: Some(left), ..Change::default() }
}

fn trace(shared: &Shared, relay: &Relay, verdicts: &[Verdict]) {
    let latency_ms = now(&shared.context).unix_ms - relay.entry.accepted.unix_ms;
    for (recipient, verdict) in relay.entry.envelope.recipients.iter().zip(verdicts) {
        let (event, answer) = match verdict {
            Verdict::Relayed { answer, .. } => ("SEND", answer),
            Verdict::Later(answer) => ("DEFER", answer),
            Verdict::Failed(answer) => ("FAIL", answer),
        };
        metrics::counter!("rialto_transport_relayed_total", "result" => event).increment(1);
        tracing::info!(
            target: "tracking", event, source = "SMTP", queue = %relay.origin,
            relay = %relay.entry.queue, hop = %shared.hop, recipient = %recipient.address,
            latency_ms, answer = settle::describe(answer),
        );
    }
}
