//! Keeping queues awake: slots are woken when something in them is due, and now and then for
//! messages whose hints were lost.

use crate::context::Context;
use crate::list;
use crate::queues::{Queues, Relayed, ask};
use crate::service::TransportService;
use base::{Result, Slot, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often all slots that have messages are woken, for those whose hints were lost. With nothing
/// queued it costs one read.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How many slots are woken at once. One that is slow to answer holds up no others until so many
/// are.
const WAKES_AT_ONCE: usize = 64;

/// How soon a slot whose owner could not be reached is woken again, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// Wakes slots when something in them is due, for as long as the service lives.
pub(crate) async fn keep_waking<Q: Queues>(service: Weak<TransportService>) {
    let mut looked = Duration::ZERO;
    let mut wakes = JoinSet::new();
    while let Some(service) = service.upgrade() {
        let context = service.context.clone();
        let monotonic = context.env.clock.monotonic();
        if monotonic.saturating_sub(looked) >= LOOK_EVERY {
            looked = monotonic;
            if let Err(error) = wake_slots::<Q>(&context, Q::NEWS).await {
                tracing::debug!(%error, "the queues could not be looked through");
            }
        }
        let now = context.env.clock.now();
        let room = WAKES_AT_ONCE.saturating_sub(wakes.len());
        let (slots, next) = Q::due(&context).take(now, room);
        for slot in slots {
            wakes.spawn(wake::<Q>(context.clone(), slot));
        }
        drop(service);
        // Without room for another wake-up the next moment is when one has ended.
        let next = next.filter(|_| wakes.len() < WAKES_AT_ONCE);
        let wait_ms = next.map_or(i64::MAX, |next| next.unix_ms.saturating_sub(now.unix_ms));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_EVERY);
        tokio::select! {
            biased;
            Some(_) = wakes.join_next() => {}
            () = Q::due(&context).changed() => {}
            () = context.env.clock.sleep(wait) => {}
        }
    }
}

async fn wake<Q: Queues>(context: Arc<Context>, slot: Slot) {
    // Its new owner has looked what waits there.
    if !context.is_mine(slot) {
        return;
    }
    if let Err(error) = ask::<Q>(&context, slot, Q::WAKE).await {
        tracing::debug!(%slot, %error, "a queue could not be woken yet");
        let soon = context.env.clock.now().plus_ms(AGAIN_MS);
        Q::due(&context).wake_at(slot, soon);
    }
}

/// Notes every slot of this node that has messages as due.
///
/// # Errors
/// The store's.
pub(crate) async fn wake_waiting_slots<Q: Queues>(context: &Context) -> Result<()> {
    wake_slots::<Q>(context, Q::MESSAGES).await
}

async fn wake_slots<Q: Queues>(context: &Context, prefix: &'static [u8]) -> Result<()> {
    for slot in list::waiting_slots(context, prefix, Slot::all()).await? {
        if context.is_mine(slot) {
            Q::due(context).wake_at(slot, Timestamp::default());
        }
    }
    Ok(())
}

/// How soon slots that are new to this node are looked through again: whoever had not heard of
/// their new owner has sent the hints of what was accepted meanwhile to nobody.
const LOOKS_AFTER: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(1_500), Duration::from_secs(5)];

/// Notes those of some slots that have messages as due, now that they are this node's, and a little
/// later. Goes on until the store answers, or they are somebody else's.
pub(crate) async fn wake_gained<Q: Queues>(context: Arc<Context>, mut gained: BTreeSet<Slot>) {
    for after in LOOKS_AFTER {
        context.env.clock.sleep(after).await;
        loop {
            gained.retain(|slot| context.is_mine(*slot));
            match list::waiting_slots(&context, Q::MESSAGES, gained.iter().copied()).await {
                Ok(waiting) => {
                    for slot in waiting.intersection(&gained) {
                        Q::due(&context).wake_at(*slot, Timestamp::default());
                    }
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "what waits in gained slots is not known yet");
                }
            }
            context.env.clock.sleep(Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
        }
    }
}

/// Has the owners of what waits for other servers look at the send connectors whenever these have
/// changed: what had no way may have one, what had one may have none.
pub(crate) async fn keep_rerouting(service: Weak<TransportService>) {
    let Some(mut news) = service.upgrade().map(|service| service.context.connectors.news()) else {
        return;
    };
    while news.changed().await.is_ok() {
        let Some(service) = service.upgrade() else { return };
        let context = service.context.clone();
        drop(service);
        while let Err(error) = wake_waiting_slots::<Relayed>(&context).await {
            tracing::debug!(%error, "what waits for other servers cannot be woken yet");
            context.env.clock.sleep(Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
        }
    }
}
