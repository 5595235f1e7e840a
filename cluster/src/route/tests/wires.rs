//! Links in memory, which can be cut.

use crate::link::{CallError, Executed, Incoming, LinkHandler, Outbound};
use crate::route::carrier::Carrier;
use async_trait::async_trait;
use base::router::Parcel;
use base::{BootId, Deadline, Error, Kind, NodeId, with_deadline};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store_memory::parts::Dice;
use tokio::time::sleep;

/// What all nodes' links have in common.
pub(super) struct Wires {
    state: Mutex<State>,
}

struct State {
    nodes: BTreeMap<NodeId, Arc<dyn LinkHandler>>,
    /// Pairs, the lower first, between which nothing gets through.
    cut: BTreeSet<(NodeId, NodeId)>,
    dice: Dice,
}

/// One node's end of them.
pub(super) struct End {
    pub(super) wires: Arc<Wires>,
    pub(super) node: NodeId,
    pub(super) boot: BootId,
}

/// How long a call waits for a link, and how long it takes to find one broken.
const LINK_WAIT: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_secs(3);

impl Wires {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let (nodes, cut) = (BTreeMap::new(), BTreeSet::new());
        Arc::new(Self { state: Mutex::new(State { nodes, cut, dice: Dice::new(seed) }) })
    }

    pub(super) fn plug_in(&self, node: NodeId, handler: Arc<dyn LinkHandler>) {
        self.state.lock().nodes.insert(node, handler);
    }

    pub(super) fn set_cut(&self, one: NodeId, other: NodeId, is_cut: bool) {
        let (pair, cut) = ((one.min(other), one.max(other)), &mut self.state.lock().cut);
        if is_cut {
            cut.insert(pair)
        } else {
            cut.remove(&pair)
        };
    }

    pub(super) fn mend(&self) {
        self.state.lock().cut.clear();
    }

    fn is_cut(&self, one: NodeId, other: NodeId) -> bool {
        self.state.lock().cut.contains(&(one.min(other), one.max(other)))
    }

    fn way_time(&self) -> Duration {
        Duration::from_micros(self.state.lock().dice.below(3000))
    }
}

fn failed(kind: Kind, executed: Executed) -> CallError {
    CallError { error: Error::new(kind, "a simulated link"), executed }
}

/// Ends what it serves when the caller goes away, as a link does.
struct Served(tokio::task::JoinHandle<base::Result<Bytes>>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl End {
    async fn ask(&self, to: NodeId, outbound: Outbound, by: Deadline) -> Result<Bytes, CallError> {
        let wires = &self.wires;
        let patience = by.within(LINK_WAIT);
        while wires.is_cut(self.node, to) {
            if patience.has_passed() {
                return Err(failed(Kind::Unavailable, Executed::No));
            }
            sleep(Duration::from_millis(50)).await;
        }
        let handler = wires.state.lock().nodes.get(&to).cloned();
        let Some(handler) = handler else { return Err(failed(Kind::Unavailable, Executed::No)) };
        sleep(wires.way_time()).await;
        if wires.is_cut(self.node, to) {
            sleep(SILENCE).await;
            return Err(failed(Kind::Unavailable, Executed::Unknown));
        }
        let Outbound { target, epoch, hops, payload, .. } = outbound;
        let (from, from_boot, payload) = (self.node, self.boot, Parcel::bytes(payload));
        let incoming = Incoming { from, from_boot, target, epoch, hops, payload, deadline: by };
        let work = async move {
            with_deadline(by, async { handler.handle(incoming).await?.into_bytes() }).await
        };
        let mut served = Served(tokio::spawn(work));
        let outcome = (&mut served.0).await;
        sleep(wires.way_time()).await;
        if wires.is_cut(self.node, to) {
            sleep(SILENCE).await;
            return Err(failed(Kind::Unavailable, Executed::Unknown));
        }
        match outcome {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) if error.kind == Kind::Timeout => {
                Err(CallError { error, executed: Executed::Unknown })
            }
            Ok(Err(error)) => Err(CallError { error, executed: Executed::Answered }),
            Err(_) => Err(failed(Kind::Internal, Executed::Unknown)),
        }
    }
}

#[async_trait]
impl Carrier for End {
    async fn call(
        &self,
        node: NodeId,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError> {
        let ask = self.ask(node, outbound, deadline);
        match tokio::time::timeout_at(deadline.instant(), ask).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failed(Kind::Timeout, Executed::Unknown)),
        }
    }

    fn hint(&self, _: NodeId, _: Outbound) {}
}
