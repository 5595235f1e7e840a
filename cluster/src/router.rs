//! The router of a node: what it owns is served here, everything else is refused.

use async_trait::async_trait;
use base::deadline::Deadline;
use base::router::{Parcel, Router, Target};
use base::{Error, Kind, NodeId, Result};
use contract_control::Control;
use std::sync::Arc;

/// Lets through requests for slots that this node owns. The others would be carried to their
/// owner; on one node there is none, so they end as [`Kind::Fenced`] if somebody else is known to
/// own them, as [`Kind::Unavailable`] if nobody is.
pub struct OwnedRouter {
    control: Arc<dyn Control>,
    here: Arc<dyn Router>,
}

impl OwnedRouter {
    /// A router in front of the one that serves this node's own targets.
    pub fn new(control: Arc<dyn Control>, here: Arc<dyn Router>) -> Self {
        Self { control, here }
    }

    fn check(&self, target: Target) -> Result<()> {
        if !target.service.is_owned() {
            return Ok(());
        }
        match self.control.owner(target.slot) {
            Some(owner) if owner.node == self.control.node() => Ok(()),
            Some(owner) => Err(Error::new(Kind::Fenced, "This mailbox is served elsewhere")
                .detail(format!("{target} belongs to {}", owner.node))),
            None => Err(Error::unavailable(format!("nobody owns {target}"))),
        }
    }
}

#[async_trait]
impl Router for OwnedRouter {
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        self.check(target)?;
        self.here.call(target, request, deadline).await
    }

    fn hint(&self, target: Target, news: Parcel) {
        match self.check(target) {
            Ok(()) => self.here.hint(target, news),
            Err(error) => tracing::debug!(%error, "hint not delivered"),
        }
    }

    async fn call_node(
        &self,
        node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel> {
        if node != self.control.node() {
            return Err(Error::unavailable(format!("there is no {node}")));
        }
        self.here.call(target, request, deadline).await
    }

    fn hint_node(&self, node: NodeId, target: Target, news: Parcel) {
        if node == self.control.node() {
            self.here.hint(target, news);
        }
    }
}
