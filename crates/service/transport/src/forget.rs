//! Forgetting what became of old messages, once nobody can ask any more.

use crate::context::Context;
use crate::service::TransportService;
use crate::{reports, tracking};
use base::{Result, Slot, Timestamp};
use contract_store::{Attempt, Body, BodyError, Transaction, transact};
use contract_transport::rows::{self, ENDED_KEEP_MS};
use futures::future::BoxFuture;
use std::sync::Weak;
use std::time::Duration;

/// How often.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How many slots one transaction clears.
const FORGET_SLOTS: usize = 256;

/// Forgets what became of the messages of this node's slots, for as long as the service lives.
pub(crate) async fn keep_forgetting(service: Weak<TransportService>) {
    while let Some(env) = service.upgrade().map(|service| service.context.env.clone()) {
        env.clock.sleep(FORGET_EVERY).await;
        let Some(context) = service.upgrade().map(|service| service.context.clone()) else {
            return;
        };
        if let Err(error) = forget_ended(&context).await {
            tracing::debug!(%error, "ended messages could not be forgotten");
        }
    }
}

async fn forget_ended(context: &Context) -> Result<()> {
    let before = context.env.clock.now().plus_ms(-ENDED_KEEP_MS);
    let slots: Vec<Slot> = Slot::all().filter(|slot| context.is_mine(*slot)).collect();
    for part in slots.chunks(FORGET_SLOTS) {
        transact(&context.store, Forget { slots: part, before }).await?;
    }
    // One node does it for all.
    match slots.first().is_some_and(|slot| slot.number() == 0) {
        true => {
            reports::forget_old(context).await?;
            tracking::forget_old(context).await
        }
        false => Ok(()),
    }
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
