//! Keeping the next hops awake: slots are woken when something in them is due, and now and then
//! for messages whose hints were lost.

use super::rows;
use crate::context::Context;
use crate::list;
use crate::service::TransportService;
use base::{Deadline, Kind, Result, Slot, Timestamp};
use contract_transport::relay::RelayCall;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often slots that have new messages are looked for. Without any it costs one read.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How many slots are woken at once.
const WAKES_AT_ONCE: usize = 64;

/// How soon a slot whose owner could not be reached is woken again, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// How long a slot's owner may take to answer.
const CALL_TIME: Duration = Duration::from_secs(10);

/// Wakes slots when something in them is due, for as long as the service lives.
pub(crate) async fn keep_waking(service: Weak<TransportService>) {
    let mut looked = Duration::ZERO;
    let mut wakes = JoinSet::new();
    while let Some(service) = service.upgrade() {
        let context = service.context.clone();
        let monotonic = context.env.clock.monotonic();
        if monotonic.saturating_sub(looked) >= LOOK_EVERY {
            looked = monotonic;
            if let Err(error) = wake_slots(&context, rows::NEWS).await {
                tracing::debug!(%error, "new messages for other servers cannot be looked for");
            }
        }
        let now = context.env.clock.now();
        let (slots, next) = context.relay_due.take(now, WAKES_AT_ONCE.saturating_sub(wakes.len()));
        for slot in slots {
            wakes.spawn(wake(context.clone(), slot));
        }
        drop(service);
        let next = next.filter(|_| wakes.len() < WAKES_AT_ONCE);
        let wait_ms = next.map_or(i64::MAX, |next| next.unix_ms.saturating_sub(now.unix_ms));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_EVERY);
        tokio::select! {
            biased;
            Some(_) = wakes.join_next() => {}
            () = context.relay_due.changed() => {}
            () = context.env.clock.sleep(wait) => {}
        }
    }
}

async fn wake(context: Arc<Context>, slot: Slot) {
    if !context.is_mine(slot) {
        return;
    }
    if let Err(error) = ask(&context, slot, RelayCall::Wake).await {
        tracing::debug!(%slot, %error, "next hops could not be woken yet");
        let soon = context.env.clock.now().plus_ms(AGAIN_MS);
        context.relay_due.wake_at(slot, soon);
    }
}

/// Asks the owner of a slot's next hops; once more if it had an old fence, for then it begins anew.
///
/// # Errors
/// The owner's; [`Kind::Timeout`].
pub(crate) async fn ask(context: &Context, slot: Slot, call: RelayCall) -> Result<()> {
    let (target, deadline) = (context.relay_target(slot), Deadline::after(CALL_TIME));
    match context.router.ask(target, call.clone(), deadline).await {
        Err(error) if error.kind == Kind::Fenced => {
            context.router.ask(target, call, deadline).await
        }
        result => result,
    }
}

/// Wakes every slot of this node that has messages for other servers.
///
/// # Errors
/// The store's.
pub(crate) async fn wake_waiting_slots(context: &Context) -> Result<()> {
    wake_slots(context, rows::MESSAGES).await
}

async fn wake_slots(context: &Context, prefix: &'static [u8]) -> Result<()> {
    for slot in list::waiting_slots(context, prefix, Slot::all()).await? {
        if context.is_mine(slot) {
            context.relay_due.wake_at(slot, Timestamp::default());
        }
    }
    Ok(())
}

/// Wakes those of some slots that have messages, now that they are this node's. Goes on until the
/// store answers, or they are somebody else's.
pub(crate) async fn wake_gained(context: Arc<Context>, mut gained: BTreeSet<Slot>) {
    loop {
        gained.retain(|slot| context.is_mine(*slot));
        match list::waiting_slots(&context, rows::MESSAGES, gained.iter().copied()).await {
            Ok(waiting) => {
                for slot in waiting.intersection(&gained) {
                    context.relay_due.wake_at(*slot, Timestamp::default());
                }
                return;
            }
            Err(error) => tracing::debug!(%error, "what waits in gained slots is not known yet"),
        }
        context.env.clock.sleep(Duration::from_millis(AGAIN_MS.unsigned_abs())).await;
    }
}
