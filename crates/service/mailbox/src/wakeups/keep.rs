//! Keeping the owners of watched mailboxes informed, and finding out what was missed.
//!
//! An owner is told every 20 s, all its mailboxes in few messages, and at once when it has just
//! become the owner. Whoever is told for the first time says so, and then the mailbox's change
//! number is read from the store: whatever was committed before the promise is seen there, whatever
//! comes after is told. So no wake-up is missed for longer than a renewal takes, and a takeover
//! costs one read for each watched mailbox, not one of every session.

use super::watched::Asked;
use super::{Call, FENCES_AT_ONCE, Standing, TOGETHER_MAX, Wakeups};
use crate::rows::{self, Summary, keys::Keys};
use base::{AccountId, Change, NodeId, Slot};
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction};
use futures::StreamExt;
use futures::future::{BoxFuture, try_join_all};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often it is looked whether slots have got other owners, while something is watched.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked whether the service still lives.
const LIVES_EVERY: Duration = Duration::from_secs(60);

/// How long new subscriptions are gathered: many sessions begin together after a takeover.
const GATHER: Duration = Duration::from_millis(20);

/// Keeps owners informed for as long as the service lives.
pub(super) async fn keep(wakeups: Weak<Wakeups>) {
    loop {
        let Some(living) = wakeups.upgrade() else { return };
        let wait = living.turn();
        let (clock, work) = (living.env.clock.clone(), living.work.clone());
        drop(living);
        tokio::select! {
            biased;
            () = work.notified() => clock.sleep(GATHER).await,
            () = clock.sleep(wait) => {}
        }
    }
}

impl Wakeups {
    /// Tells whoever is to be told now; says how long there is nothing to do.
    fn turn(self: &Arc<Self>) -> Duration {
        let now = self.env.clock.monotonic();
        let (taken, wait) = {
            let mut watched = self.watched.lock();
            watched.look(|slot| self.control.owner(slot));
            let taken = watched.take_due(now);
            let wait = if watched.is_empty() { LIVES_EVERY } else { LOOK_EVERY };
            (taken, wait)
        };
        for (node, asked) in taken {
            if node == self.control.node() {
                tokio::spawn(self.clone().take_over(asked));
                continue;
            }
            for part in asked.chunks(TOGETHER_MAX) {
                tokio::spawn(self.clone().ask(node, part.to_vec()));
            }
        }
        wait
    }

    /// Some mailboxes have come here. What the last owner did not tell is in the store, all of it
    /// as soon as the fence of this node stands there; one that takes long delays no others.
    async fn take_over(self: Arc<Self>, asked: Vec<Asked>) {
        let mut by_slot: HashMap<Slot, Vec<Asked>> = HashMap::new();
        asked.into_iter().for_each(|one| by_slot.entry(one.slot).or_default().push(one));
        let fences = futures::stream::iter(by_slot)
            .map(|(slot, asked)| {
                let wakeups = &self;
                async move { (wakeups.epoch(slot).await, asked) }
            })
            .buffer_unordered(FENCES_AT_ONCE)
            .ready_chunks(FENCES_AT_ONCE);
        let mut fences = std::pin::pin!(fences);
        while let Some(taken) = fences.next().await {
            let (mut here, mut not_yet) = (Vec::new(), Vec::new());
            for (epoch, asked) in taken {
                for one in asked {
                    let place =
                        if epoch == Some(one.owner.epoch) { &mut here } else { &mut not_yet };
                    place.push(one);
                }
            }
            if !not_yet.is_empty() {
                let now = self.env.clock.monotonic();
                let mut watched = self.watched.lock();
                not_yet.iter().for_each(|asked| watched.failed(asked, now));
            }
            self.catch_up(here).await;
        }
    }

    /// Tells one owner of some mailboxes.
    async fn ask(self: Arc<Self>, node: NodeId, asked: Vec<Asked>) {
        let mailboxes = asked.iter().map(|asked| asked.mailbox).collect();
        let call = Call::Watch { node: self.control.node(), mailboxes };
        let standing = match self.call(node, call).await {
            Ok(standing) if standing.len() == asked.len() => standing,
            other => {
                let error = other.err();
                tracing::debug!(%node, ?error, "an owner does not know what is watched");
                vec![Standing::Elsewhere; asked.len()]
            }
        };
        let mut unknown = Vec::new();
        {
            let now = self.env.clock.monotonic();
            let mut watched = self.watched.lock();
            for (asked, standing) in asked.into_iter().zip(standing) {
                match standing {
                    Standing::Elsewhere => watched.failed(&asked, now),
                    Standing::New => unknown.push(asked),
                    Standing::Since(change) => {
                        watched.publish(asked.slot, asked.mailbox, change);
                        watched.is_kept(&asked, self.control.node(), now);
                    }
                }
            }
        }
        self.catch_up(unknown).await;
    }
}

/// Reads the newest change number of mailboxes; 0 for one that was never used, or is damaged, which
/// is for its owner to say.
pub(super) struct ReadChanges(pub(super) Vec<AccountId>);

impl Body<Vec<Change>> for ReadChanges {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<Change>, BodyError>> {
        Box::pin(async move {
            try_join_all(self.0.iter().map(|mailbox| async {
                let row = tx.get(&Keys(*mailbox).summary(), Isolation::Snapshot).await?;
                let Some(row) = row else { return Ok(Change(0)) };
                let newest = match rows::decode::<Summary>(&row, "summary") {
                    Ok(summary) => summary.next_change.saturating_sub(1),
                    Err(_) => 0,
                };
                Ok(Change(newest))
            }))
            .await
        })
    }
}
