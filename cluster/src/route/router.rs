//! The router of a node in a cluster.

use super::BULK;
use super::carrier::Carrier;
use super::journey::Journey;
use super::meter::Meter;
use super::pace::Stopwatch;
use super::waiting::Waiting;
use crate::fences::Fences;
use crate::link::{Lane, Outbound};
use crate::placement::SlotOwner;
use crate::raft::Applied;
use async_trait::async_trait;
use base::env::Env;
use base::router::{LocalRouter, Parcel, Router, Target};
use base::{Deadline, Epoch, Error, Kind, NodeId, Result, Slot};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Brings requests to the owners of their slots, wherever these are. See the module's words.
pub(crate) struct ClusterRouter {
    pub(super) me: NodeId,
    pub(super) applied: watch::Receiver<Applied>,
    pub(super) fences: Arc<Fences>,
    pub(super) here: Arc<LocalRouter>,
    pub(super) carrier: Arc<dyn Carrier>,
    pub(super) env: Env,
    pub(super) waiting: Waiting,
    meter: Arc<Meter>,
    stopwatch: Arc<Stopwatch>,
}

/// Where a request for a slot is to go now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// To this node's hosts.
    Here,
    /// To another node, which owns the slot under this epoch.
    There(NodeId, Epoch),
    /// Nowhere yet: it is this node's, and sealed or still to be taken in the store.
    NotReady,
    /// Nowhere yet: nobody owns it.
    NoOwner,
}

impl ClusterRouter {
    /// A router between this node's hosts and the others.
    pub(crate) fn new(
        me: NodeId,
        applied: watch::Receiver<Applied>,
        fences: Arc<Fences>,
        here: Arc<LocalRouter>,
        carrier: Arc<dyn Carrier>,
        env: Env,
    ) -> Arc<Self> {
        let (waiting, meter, stopwatch) = (Waiting::default(), Arc::default(), Arc::default());
        Arc::new(Self { me, applied, fences, here, carrier, env, waiting, meter, stopwatch })
    }

    /// What is served here, of all owned services.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// How long requests take, here and elsewhere.
    pub(crate) fn stopwatch(&self) -> Arc<Stopwatch> {
        self.stopwatch.clone()
    }

    /// Begins to time what a node is asked, until the answer is there or nobody waits for it any
    /// more. `None` for what may take minutes by its nature.
    pub(super) fn time(&self, node: NodeId, slot: Slot, deadline: Deadline) -> Option<Timed<'_>> {
        let begun = self.env.clock.monotonic();
        let is_bulk = deadline.remaining() > BULK;
        (!is_bulk).then_some(Timed { router: self, node, slot, begun, counts: true })
    }

    /// Has this node's host serve a request of so many bytes, and counts it.
    pub(super) async fn serve(
        &self,
        target: Target,
        (request, bytes): (Parcel, usize),
        deadline: Deadline,
    ) -> Result<Parcel> {
        let mut timed = self.time(self.me, target.slot, deadline);
        let outcome = self.here.call(target, request, deadline).await;
        self.meter.served(target.slot, bytes, timed.as_ref().map(Timed::took));
        if let (Err(error), Some(timed)) = (&outcome, &mut timed) {
            timed.counts = error.kind != Kind::Fenced;
        }
        drop(timed);
        outcome.map_err(|error| self.of_leaving(target, error))
    }

    /// An actor that comes to rest because its slot leaves drops what waits in its inbox. The next
    /// owner is asked then; commands have ids, so nothing is done twice.
    fn of_leaving(&self, target: Target, error: Error) -> Error {
        if error.kind != Kind::Unavailable || self.fences.serves(target.slot).is_some() {
            return error;
        }
        let text = "This mailbox is served elsewhere";
        Error::new(Kind::Fenced, text).detail(format!("{target} is leaving: {error}"))
    }

    /// Where a request goes if the slot is owned so.
    pub(super) fn way(&self, slot: Slot, owner: SlotOwner) -> Way {
        match owner.node() {
            None => Way::NoOwner,
            Some(node) if node != self.me => Way::There(node, owner.epoch),
            Some(_) => match self.fences.serves(slot) {
                Some(epoch) if epoch >= owner.epoch => Way::Here,
                _ => Way::NotReady,
            },
        }
    }

    fn owner(&self, slot: Slot) -> SlotOwner {
        self.applied.borrow().state.slot(slot)
    }

    fn tell(&self, node: NodeId, target: Target, epoch: Epoch, news: Parcel) {
        match news.into_bytes() {
            Ok(payload) => {
                let outbound = Outbound { lane: Lane::Data, target, epoch, hops: 0, payload };
                self.carrier.hint(node, outbound);
            }
            Err(error) => tracing::debug!(%target, %error, "hint not sent"),
        }
    }
}

/// A request under way.
pub(super) struct Timed<'r> {
    router: &'r ClusterRouter,
    node: NodeId,
    slot: Slot,
    begun: Duration,
    /// Whether it tells anything about the node.
    pub(super) counts: bool,
}

impl Timed<'_> {
    fn took(&self) -> Duration {
        self.router.env.clock.monotonic().saturating_sub(self.begun)
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        // A slot that is on its way elsewhere, or was taken over, is slow for that reason.
        if self.counts && self.router.owner(self.slot).node() == Some(self.node) {
            let is_here = self.node == self.router.me;
            self.router.stopwatch.note(is_here, self.slot, self.took());
        }
    }
}

#[async_trait]
impl Router for ClusterRouter {
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        if !target.service.is_owned() {
            return self.here.call(target, request, deadline).await;
        }
        Journey::new(self, target, deadline).run(request).await
    }

    fn hint(&self, target: Target, news: Parcel) {
        if !target.service.is_owned() {
            return self.here.hint(target, news);
        }
        match self.way(target.slot, self.owner(target.slot)) {
            Way::Here => self.here.hint(target, news),
            Way::There(node, epoch) => self.tell(node, target, epoch, news),
            // Whoever gets the slot looks for himself what there is to do.
            Way::NotReady | Way::NoOwner => {
                tracing::debug!(%target, "hint dropped: nobody serves the slot");
            }
        }
    }

    async fn call_node(
        &self,
        node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel> {
        if node == self.me {
            return self.here.call(target, request, deadline).await;
        }
        let (payload, epoch) = (request.into_bytes()?, self.owner(target.slot).epoch);
        let outbound = Outbound { lane: Lane::Data, target, epoch, hops: 0, payload };
        Ok(Parcel::bytes(self.carrier.call(node, outbound, deadline).await?))
    }

    fn hint_node(&self, node: NodeId, target: Target, news: Parcel) {
        if node == self.me {
            self.here.hint(target, news);
        } else {
            self.tell(node, target, self.owner(target.slot).epoch, news);
        }
    }
}
