//! What this node keeps for each other node: where it is, its link, and who waits for one.

use super::connection::Link;
use super::error::CallError;
use super::outgoing::Outbound;
use super::reading::broken;
use super::settings::LinkSettings;
use super::waiting::Waiting;
use super::window::Lane;
use base::{Deadline, Error, Kind, NodeId};
use bytes::Bytes;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) address: SocketAddr,
    link: watch::Sender<Option<Arc<Link>>>,
    /// By lane.
    waiting: [Waiting; 2],
    /// When the side that dials last had a link.
    pub(super) linked_at: Mutex<Option<Duration>>,
    /// Ends with the peer's membership, or its address.
    pub(super) removed: CancellationToken,
}

impl Peer {
    pub(super) fn new(
        node: NodeId,
        address: SocketAddr,
        settings: &LinkSettings,
        removed: CancellationToken,
    ) -> Arc<Self> {
        let (calls, bytes) = (settings.waiting_max, settings.waiting_bytes_max);
        let (link, waiting) =
            (watch::Sender::new(None), Lane::ALL.map(|_| Waiting::new(calls, bytes)));
        let linked_at = Mutex::default();
        Arc::new(Self { node, address, link, waiting, linked_at, removed })
    }

    /// The link, if there is one that calls may use.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.borrow().clone().filter(|link| link.is_usable())
    }

    /// A new link takes the place of an older one: the peer would not have made it otherwise.
    pub(super) fn publish(&self, link: &Arc<Link>) {
        let old = self.link.send_replace(Some(link.clone()));
        if let Some(old) = old {
            if old.peer.boot != link.peer.boot {
                let boot = link.peer.boot;
                tracing::info!(node = %self.node, %boot, "a node has started anew");
            }
            old.end(&broken("a newer link took its place"));
        }
        // It was removed while it was connecting.
        if self.removed.is_cancelled() {
            self.withdraw(link, &broken("the node was removed"));
        }
    }

    /// Takes back a link that has ended.
    pub(super) fn withdraw(&self, link: &Arc<Link>, why: &Error) {
        link.end(why);
        self.link.send_if_modified(|current| {
            let is_it = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
            if is_it {
                *current = None;
            }
            is_it
        });
    }

    /// The node is no longer a member, or lives elsewhere.
    pub(super) fn remove(&self) {
        self.removed.cancel();
        let link = self.link.borrow().clone();
        if let Some(link) = link {
            self.withdraw(&link, &broken("the node was removed"));
        }
    }

    /// Asks over the current link, or over one that comes up soon. A request that certainly was
    /// not executed is sent again over the next link.
    pub(super) async fn call(
        &self,
        outbound: Outbound,
        deadline: Deadline,
        link_wait: Duration,
    ) -> Result<Bytes, CallError> {
        let patience = deadline.within(link_wait);
        loop {
            let link = match self.link() {
                Some(link) => link,
                None => self.wait_for_link(&outbound, patience).await?,
            };
            match link.call(outbound.clone(), deadline).await {
                Err(failed)
                    if failed.is_safe_to_resend()
                        && failed.error.kind == Kind::Unavailable
                        && !patience.has_passed()
                        && !link.is_usable() => {}
                outcome => return outcome,
            }
        }
    }

    async fn wait_for_link(
        &self,
        outbound: &Outbound,
        patience: Deadline,
    ) -> Result<Arc<Link>, CallError> {
        let (waiting, bytes) = (&self.waiting[outbound.lane.index()], outbound.payload.len());
        let _place = waiting.enter(bytes, format_args!("for a link to {}", self.node))?;
        let mut changes = self.link.subscribe();
        let up = changes.wait_for(|link| link.as_ref().is_some_and(|link| link.is_usable()));
        let none = || CallError::no_link(format!("no link to {}", self.node));
        let up = tokio::select! {
            up = tokio::time::timeout_at(patience.instant(), up) => up,
            () = self.removed.cancelled() => return Err(none()),
        };
        match up {
            Ok(Ok(link)) => link.clone().ok_or_else(none),
            _ => Err(none()),
        }
    }
}
