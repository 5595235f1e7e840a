//! Planned moves of slots: how mailboxes leave a node quickly, and come up at the next one before
//! anybody asks for them.
//!
//! A mailbox that leaves finishes the message it is handling and drops the others: their callers ask
//! the next owner, under the same command ids. The last owner remembers which mailboxes were active,
//! and when the slot is another's it tells the next owner, by a hint on the way of any request:
//! that one holds the hint until its fence is in the store. It activates them a few at a time beside
//! what comes in, those that were used last first, and stops where that would cost others their
//! places, or where so much time has passed that whoever is there has asked by himself. Whatever of
//! it is lost costs one activation at the first request, as always.

use crate::actor::{MailboxActor, Message};
use crate::context::Context;
use crate::resume::is_here;
use crate::service::Request;
use base::actor::Population;
use base::router::{Parcel, ServiceId, Target};
use base::{AccountId, Deadline, Slot};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The feature level from which on every node understands [`Request::Warm`].
const WARM_LEVEL: u32 = 2;

/// How many mailboxes of a slot are named: a full node has some fifty active ones in a slot.
const WARM_MAX: usize = 64;

/// How many mailboxes may wait to be activated; more are left to their first request.
const WAITING_MAX: usize = 1024;

/// How many are activated at a time: what comes in has the rest of the store to itself.
const AT_ONCE: usize = 4;

/// How long one may take.
const ACTIVATION_TIME: Duration = Duration::from_secs(10);

/// How old a list may be, at either end: most moves take a tenth of a second.
const WARM_FOR: Duration = Duration::from_secs(10);

/// How long a slot waits for its mailboxes: several transactions of a store that is well. What takes
/// longer is fenced, and asked for again.
const REST_TIME: Duration = Duration::from_millis(150);

/// Mailboxes on their way to another node, and from one.
pub(crate) struct Handover {
    context: Arc<Context>,
    population: Population<AccountId, MailboxActor>,
    /// Which were active in slots that are being given away: bounded by [`WARM_MAX`] for each.
    left: Mutex<HashMap<Slot, Left>>,
    warming: mpsc::Sender<Warming>,
}

/// What was active in a slot, the most recently used first, when that was.
struct Left {
    accounts: Vec<AccountId>,
    /// By the monotonic clock.
    at: Duration,
}

/// A mailbox that is to be activated, and since when it waits for that.
struct Warming {
    account: AccountId,
    at: Duration,
}

impl Handover {
    /// With nothing on its way.
    pub(crate) fn new(
        context: Arc<Context>,
        population: Population<AccountId, MailboxActor>,
    ) -> Self {
        let (warming, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(warm(context.clone(), population.clone(), waiting));
        Self { context, population, left: Mutex::default(), warming }
    }

    /// Has the mailboxes of a slot come to rest.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`] if some take longer; the fence takes care of them.
    pub(crate) async fn release(&self, slot: Slot, deadline: Deadline) -> base::Result<()> {
        let accounts = self.population.active_in(slot, WARM_MAX);
        if !accounts.is_empty() {
            self.left.lock().insert(slot, Left { accounts, at: self.now() });
        }
        self.population.leave_slot(slot, deadline.within(REST_TIME)).await
    }

    fn now(&self) -> Duration {
        self.context.env.clock.monotonic()
    }

    /// These slots have come here, or stay.
    pub(crate) fn gained(&self, slots: &[Slot]) {
        let mut left = self.left.lock();
        slots.iter().for_each(|slot| drop(left.remove(slot)));
    }

    /// These slots are others' now: tells them what was active.
    pub(crate) fn lost(&self, slots: &[Slot]) {
        let control = &self.context.control;
        for slot in slots {
            let Some(Left { accounts, at }) = self.left.lock().remove(slot) else { continue };
            if self.now().saturating_sub(at) > WARM_FOR {
                continue;
            }
            let is_mine = control.owner(*slot).is_none_or(|owner| owner.node == control.node());
            let Some(first) = accounts.first().filter(|_| !is_mine) else { continue };
            if control.feature_level() < WARM_LEVEL {
                continue;
            }
            let key = u128::from(first.0);
            let target = Target { service: ServiceId::MAILBOX, key, slot: *slot };
            self.context.router.hint(target, Parcel::typed(Request::Warm { accounts }));
        }
    }

    /// Another node tells of mailboxes that were active there. Those of other slots than the one
    /// that it has given are passed over.
    pub(crate) fn welcome(&self, slot: Slot, accounts: &[AccountId]) {
        let of_slot =
            |account: &&AccountId| self.context.control.slot_of_account(**account) == slot;
        let at = self.now();
        for account in accounts.iter().take(WARM_MAX).filter(of_slot) {
            if self.warming.try_send(Warming { account: *account, at }).is_err() {
                metrics::counter!("rialto_mailbox_warmings_dropped_total").increment(1);
            }
        }
    }
}

/// Activates mailboxes for as long as somebody may name any.
async fn warm(
    context: Arc<Context>,
    population: Population<AccountId, MailboxActor>,
    waiting: mpsc::Receiver<Warming>,
) {
    let (context, population) = (&context, &population);
    let all = futures::stream::unfold(waiting, async |mut waiting| {
        Some((waiting.recv().await?, waiting))
    });
    all.for_each_concurrent(AT_ONCE, async |Warming { account, at }| {
        // A quarter of the places is for those that somebody asks for. Some of those that had
        // to wait may have moved on.
        let is_late = context.env.clock.monotonic().saturating_sub(at) > WARM_FOR;
        let is_full = population.count() >= context.config.active_max / 4 * 3;
        if is_late || is_full || !is_here(context, account) {
            return;
        }
        let deadline = Deadline::after(ACTIVATION_TIME);
        match population.cast(&account, Message::Resume, deadline).await {
            Ok(()) => metrics::counter!("rialto_mailbox_warmings_total").increment(1),
            Err(error) => tracing::debug!(mailbox = %account, %error, "not activated"),
        }
    })
    .await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::{Kind, wire};
    use serde::{Deserialize, Serialize};

    /// What nodes of level 1 know of it.
    #[derive(Serialize, Deserialize)]
    enum Before {
        Read { who: u32 },
        Write { who: u32 },
    }

    #[test]
    fn a_node_that_does_not_know_the_hint_drops_it_and_no_other_request_has_changed() {
        let accounts = vec![AccountId(7), AccountId(300)];
        let warm = wire::encode(&Request::Warm { accounts }).unwrap();
        assert_eq!(&warm[..], [2, 2, 7, 251, 44, 1], "a message between nodes has changed");
        let old = wire::decode::<Before>(&warm).map(|_| ()).unwrap_err();
        assert_eq!(old.kind, Kind::Corrupt);
        let first = [Before::Read { who: 0 }, Before::Write { who: 0 }]
            .map(|one| wire::encode(&one).unwrap()[0]);
        assert_eq!(first, [0, 1]);
    }
}
