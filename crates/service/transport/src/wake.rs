//! Keeping the queues awake, and forgetting what became of old messages.
//!
//! Hints may be lost, so now and then every slot of this node that has messages is woken.

use crate::context::Context;
use crate::list;
use crate::service::TransportService;
use base::{Result, Slot, Timestamp};
use contract_store::{Attempt, Body, BodyError, Transaction, transact};
use contract_transport::QueueCall;
use contract_transport::rows::{self, ENDED_KEEP_MS};
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often all slots that have messages are woken, for those whose hints were lost. With nothing
/// queued it costs one read.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How often it is forgotten what became of old messages.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How many slots one transaction that forgets clears.
const FORGET_SLOTS: usize = 256;

/// How many slots are woken at once. One that is slow to answer holds up no others until so many
/// are.
const WAKES_AT_ONCE: usize = 64;

/// How soon a slot whose owner could not be reached is woken again, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// Wakes slots when something in them is due, for as long as the service lives.
pub(crate) async fn keep_waking(service: Weak<TransportService>) {
    let (mut looked, mut forgot) = (Duration::ZERO, Duration::ZERO);
    let mut wakes = JoinSet::new();
    while let Some(service) = service.upgrade() {
        let context = service.context.clone();
        let monotonic = context.env.clock.monotonic();
        if monotonic.saturating_sub(looked) >= LOOK_EVERY {
            looked = monotonic;
            if let Err(error) = wake_waiting_slots(&context).await {
                tracing::debug!(%error, "the queues could not be looked through");
            }
        }
        if monotonic.saturating_sub(forgot) >= FORGET_EVERY {
            forgot = monotonic;
            if let Err(error) = forget_ended(&context).await {
                tracing::debug!(%error, "ended messages could not be forgotten");
            }
        }
        let now = context.env.clock.now();
        let (slots, next) = context.due.take(now, WAKES_AT_ONCE.saturating_sub(wakes.len()));
        for slot in slots {
            wakes.spawn(wake(context.clone(), slot));
        }
        drop(service);
        // Without room for another wake-up the next moment is when one has ended.
        let next = next.filter(|_| wakes.len() < WAKES_AT_ONCE);
        let wait_ms = next.map_or(i64::MAX, |next| next.unix_ms.saturating_sub(now.unix_ms));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_EVERY);
        tokio::select! {
            biased;
            Some(_) = wakes.join_next() => {}
            () = context.due.changed() => {}
            () = context.env.clock.sleep(wait) => {}
        }
    }
}

async fn wake(context: Arc<Context>, slot: Slot) {
    // Its new owner has looked what waits there.
    if !context.is_mine(slot) {
        return;
    }
    if let Err(error) = context.ask(slot, QueueCall::Wake).await {
        tracing::debug!(%slot, %error, "a queue could not be woken yet");
        let soon = context.env.clock.now().plus_ms(AGAIN_MS);
        context.due.wake_at(slot, soon);
    }
}

/// Notes every slot of this node that has messages as due.
///
/// # Errors
/// The store's.
pub(crate) async fn wake_waiting_slots(context: &Context) -> Result<()> {
    for slot in list::waiting_slots(context, rows::ENTRY_PREFIX, Slot::all()).await? {
        if context.is_mine(slot) {
            context.due.wake_at(slot, Timestamp::default());
        }
    }
    Ok(())
}

/// Notes those of some slots that have messages as due, now that they are this node's. Goes on
/// until the store answers, or they are somebody else's.
pub(crate) async fn wake_gained(context: Arc<Context>, mut gained: BTreeSet<Slot>) {
    loop {
        gained.retain(|slot| context.is_mine(*slot));
        match list::waiting_slots(&context, rows::ENTRY_PREFIX, gained.iter().copied()).await {
            Ok(waiting) => {
                for slot in waiting.intersection(&gained) {
                    context.due.wake_at(*slot, Timestamp::default());
                }
                return;
            }
            Err(error) => tracing::debug!(%error, "what waits in gained slots is not known yet"),
        }
        context.env.clock.sleep(Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
    }
}

/// Forgets what became of the messages of this node's slots once nobody can ask any more.
async fn forget_ended(context: &Context) -> Result<()> {
    let before = context.env.clock.now().plus_ms(-ENDED_KEEP_MS);
    let slots: Vec<Slot> = Slot::all().filter(|slot| context.is_mine(*slot)).collect();
    for part in slots.chunks(FORGET_SLOTS) {
        transact(&context.store, Forget { slots: part, before }).await?;
    }
    Ok(())
}

struct Forget<'s> {
    slots: &'s [Slot],
    before: Timestamp,
}

impl Body<()> for Forget<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            for slot in self.slots {
                tx.clear_range(&rows::ended_before(*slot, self.before));
            }
            Ok(())
        })
    }
}
