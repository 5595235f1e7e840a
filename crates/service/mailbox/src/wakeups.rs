//! Wake-ups: who waits for news of which mailbox, on this node and on others.
//!
//! A subscriber costs a watch channel, not an actor, and all subscribers of a mailbox on a node are
//! one. Wake-ups carry the newest change number and may be lost or spurious; whoever is woken reads
//! again.
//!
//! - `watched` holds this node's subscribers, by slot.
//! - `keep` tells the owners of mailboxes that are watched here and served elsewhere, again and
//!   again, and at once when the owner changes.
//! - `interests` is what an owner knows of other nodes' subscribers, and the way to tell them.
//!
//! Where a mailbox is served by the node that watches it nothing of this is at work: what its
//! actor publishes goes to the subscribers straight away.

mod interests;
mod keep;
mod watched;

use crate::wakeups::interests::Interests;
use crate::wakeups::keep::ReadChanges;
use crate::wakeups::watched::{Asked, Watched};
use async_trait::async_trait;
use base::env::Env;
use base::router::{Host, Parcel, Router, ServiceId, Target};
use base::{AccountId, Change, Deadline, Epoch, Error, NodeId, Result, Slot};
use contract_control::Control;
use contract_store::{Store, transact};
use futures::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How many mailboxes one message between two nodes names, at most.
const TOGETHER_MAX: usize = 1_000;

/// How long a node may take to answer. One that does not is dead, or will be asked again.
const CALL_TIME: Duration = Duration::from_secs(2);

/// How many change numbers one transaction reads.
const READ_TOGETHER: usize = 200;

/// How many fences are asked for at once.
const FENCES_AT_ONCE: usize = 32;

/// The wake-ups of a node.
pub(crate) struct Wakeups {
    env: Env,
    store: Arc<dyn Store>,
    control: Arc<dyn Control>,
    router: Arc<dyn Router>,
    watched: Mutex<Watched>,
    interests: Interests,
    /// There is something for `keep` to do at once.
    work: Arc<Notify>,
}

/// What nodes say to each other. The order is part of the protocol.
#[derive(Debug, Serialize, Deserialize)]
enum Call {
    /// To an owner: this node watches these mailboxes, for the next while.
    Watch { node: NodeId, mailboxes: Vec<AccountId> },
    /// From an owner: these have changed.
    News(Vec<(AccountId, Change)>),
}

/// How a mailbox stands with the owner that was told of an interest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Standing {
    /// It is not served there.
    Elsewhere,
    /// From now on its changes are told; of what was before nothing is known.
    New,
    /// Its changes were told all the time; this is the newest of them.
    Since(Change),
}

impl Wakeups {
    /// Without subscribers. Its mailboxes are kept in touch with their owners for as long as it
    /// lives; must be called within a runtime.
    pub(crate) fn start(
        env: Env,
        store: Arc<dyn Store>,
        control: Arc<dyn Control>,
        router: Arc<dyn Router>,
    ) -> Arc<Self> {
        let (watched, interests) = (Mutex::default(), Interests::default());
        let work = Arc::new(Notify::new());
        let wakeups = Arc::new(Self { env, store, control, router, watched, interests, work });
        tokio::spawn(keep::keep(Arc::downgrade(&wakeups)));
        wakeups
    }

    /// Subscribes.
    pub(crate) fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        let slot = self.control.slot_of_account(mailbox);
        let owner = self.control.owner(slot);
        let here = owner.is_some_and(|owner| owner.node == self.control.node());
        let (receiver, work) = self.watched.lock().watch(slot, owner, mailbox, here);
        if work {
            self.work.notify_one();
        }
        receiver
    }

    /// Tells all subscribers of a mailbox that is served here that it has changed.
    pub(crate) fn publish(self: &Arc<Self>, mailbox: AccountId, change: Change) {
        let slot = self.control.slot_of_account(mailbox);
        self.watched.lock().publish(slot, mailbox, change);
        for node in self.interests.note(mailbox, change, self.env.clock.monotonic()) {
            tokio::spawn(self.clone().tell(node));
        }
    }

    /// Tells a node what it waits for, one message at a time, until there is no more: what changes
    /// while one is under way goes with the next, the newest change of each mailbox.
    async fn tell(self: Arc<Self>, node: NodeId) {
        while let Some(news) = self.interests.take(node, TOGETHER_MAX) {
            // What is lost is found when the node says again what it watches.
            if let Err(error) = self.call(node, Call::News(news)).await {
                tracing::debug!(%node, %error, "wake-ups are lost");
            }
        }
    }

    async fn call(&self, node: NodeId, call: Call) -> Result<Vec<Standing>> {
        // Every node serves it, whatever the slot.
        let slot = self.control.slot_of_account(AccountId(0));
        let target = Target { service: ServiceId::WAKEUPS, key: 0, slot };
        let deadline = Deadline::after(CALL_TIME);
        self.router.call_node(node, target, Parcel::typed(call), deadline).await?.open()
    }

    /// Notes what another node watches; tells how each of the mailboxes stands.
    async fn register(&self, node: NodeId, mailboxes: &[AccountId]) -> Result<Vec<Standing>> {
        if mailboxes.len() > TOGETHER_MAX {
            return Err(Error::invalid("Too many mailboxes are watched at once"));
        }
        let slot = |mailbox: &AccountId| self.control.slot_of_account(*mailbox);
        let epochs = self.epochs(mailboxes.iter().map(slot)).await;
        let epoch = |mailbox| epochs.get(&slot(mailbox)).copied();
        let now = self.env.clock.monotonic();
        let asked = mailboxes.iter().map(|mailbox| (*mailbox, epoch(mailbox)));
        Ok(self.interests.register(node, asked, now))
    }

    /// Which of some slots are served here, and under which epochs.
    async fn epochs(&self, slots: impl Iterator<Item = Slot>) -> HashMap<Slot, Epoch> {
        futures::stream::iter(slots.collect::<BTreeSet<Slot>>())
            .map(|slot| async move { Some((slot, self.epoch(slot).await?)) })
            .buffer_unordered(FENCES_AT_ONCE)
            .filter_map(|found| async move { found })
            .collect()
            .await
    }

    /// Under which epoch a slot is served here. Its fence stands in the store: no earlier owner
    /// commits anything from now on that nobody here would hear of.
    async fn epoch(&self, slot: Slot) -> Option<Epoch> {
        let owner = self.control.owner(slot)?;
        if owner.node != self.control.node() {
            return None;
        }
        Some(self.control.fence(slot).await.ok()?.epoch)
    }

    /// Takes in what other nodes tell of mailboxes that are watched here.
    fn heard(&self, news: Vec<(AccountId, Change)>) {
        let mut watched = self.watched.lock();
        for (mailbox, change) in news {
            watched.publish(self.control.slot_of_account(mailbox), mailbox, change);
        }
    }

    /// Reads from the store how far mailboxes are, after an owner has promised to tell what comes
    /// next, and wakes whom that concerns.
    async fn catch_up(&self, asked: Vec<Asked>) {
        for part in asked.chunks(READ_TOGETHER) {
            let mailboxes = part.iter().map(|asked| asked.mailbox).collect();
            let read = transact(&self.store, ReadChanges(mailboxes)).await;
            let now = self.env.clock.monotonic();
            let mut watched = self.watched.lock();
            match read {
                Ok(changes) => {
                    for (asked, change) in part.iter().zip(changes) {
                        watched.publish(asked.slot, asked.mailbox, change);
                        watched.is_kept(asked, self.control.node(), now);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "whether watched mailboxes have changed is not known");
                    part.iter().for_each(|asked| watched.failed(asked, now));
                }
            }
        }
        self.work.notify_one();
    }
}

/// Serves what nodes tell each other of watched mailboxes.
pub(crate) struct WakeupHost(pub(crate) Arc<Wakeups>);

#[async_trait]
impl Host for WakeupHost {
    async fn handle(&self, _: Target, request: Parcel, _: Deadline) -> Result<Parcel> {
        let Self(wakeups) = self;
        Ok(Parcel::typed(match request.open()? {
            Call::Watch { node, mailboxes } => wakeups.register(node, &mailboxes).await?,
            Call::News(news) => {
                wakeups.heard(news);
                Vec::new()
            }
        }))
    }
}
