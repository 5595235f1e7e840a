//! A router for one node: every target is served here, by the host of its service.

use super::{Host, Parcel, Router, ServiceId, Target};
use crate::deadline::{Deadline, with_deadline};
use crate::error::{Error, Result};
use crate::wire;
use crate::{NodeId, Slot};
use async_trait::async_trait;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many hints may be under way; more are dropped. Enough for a burst of deliveries, small
/// enough that a stuck host costs little memory.
pub const HINTS_AT_ONCE: usize = 1024;

/// How long a host may take over a hint.
pub const HINT_TIME: Duration = Duration::from_secs(5);

/// Dispatches to the hosts registered on this node.
pub struct LocalRouter {
    hosts: RwLock<HashMap<ServiceId, Arc<dyn Host>>>,
    hints: Arc<Semaphore>,
    encode_everything: bool,
}

impl Default for LocalRouter {
    fn default() -> Self {
        Self::new(false)
    }
}

impl LocalRouter {
    /// A router without hosts. With `encode_everything` every request, hint, reply and error is
    /// encoded and decoded as on the way to another node and back; tests do so, to find what
    /// would not survive the journey.
    pub fn new(encode_everything: bool) -> Self {
        Self {
            hosts: RwLock::default(),
            hints: Arc::new(Semaphore::new(HINTS_AT_ONCE)),
            encode_everything,
        }
    }

    /// Lets a host serve all targets of a service, in place of an earlier one.
    pub fn register(&self, service: ServiceId, host: Arc<dyn Host>) {
        self.hosts.write().insert(service, host);
    }

    /// Takes a service's host away; its targets are unavailable afterwards.
    pub fn unregister(&self, service: ServiceId) {
        self.hosts.write().remove(&service);
    }

    /// The router for those whom it holds. A host that held the router itself would close a circle,
    /// and what the node has open would stay open when the node is dropped.
    pub fn for_hosts(self: &Arc<Self>) -> Arc<dyn Router> {
        Arc::new(ForHosts(Arc::downgrade(self)))
    }

    /// Tells every host that slots are this node's, see [`Host::gained`].
    pub fn gained(&self, slots: &[Slot]) {
        self.all().iter().for_each(|host| host.gained(slots));
    }

    /// Tells every host that slots are this node's no more, see [`Host::lost`].
    pub fn lost(&self, slots: &[Slot]) {
        self.all().iter().for_each(|host| host.lost(slots));
    }

    /// Has every host end what takes long in a slot, see [`Host::prepare`].
    ///
    /// # Errors
    /// The first host's that did not.
    pub async fn prepare(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        let hosts = self.all();
        let all = futures::future::join_all(hosts.iter().map(|host| host.prepare(slot, deadline)));
        all.await.into_iter().collect()
    }

    /// Has every host come to rest in a slot, see [`Host::release`].
    ///
    /// # Errors
    /// The first host's that did not.
    pub async fn release(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        let hosts = self.all();
        let all = futures::future::join_all(hosts.iter().map(|host| host.release(slot, deadline)));
        all.await.into_iter().collect()
    }

    fn all(&self) -> Vec<Arc<dyn Host>> {
        self.hosts.read().values().cloned().collect()
    }

    fn host(&self, target: Target) -> Result<Arc<dyn Host>> {
        let host = self.hosts.read().get(&target.service).cloned();
        host.ok_or_else(|| Error::unavailable(format!("no host for {target}")))
    }

    fn repacked(&self, parcel: Parcel) -> Result<Parcel> {
        if self.encode_everything { Ok(Parcel::bytes(parcel.into_bytes()?)) } else { Ok(parcel) }
    }

    fn repacked_error(&self, error: Error) -> Error {
        if !self.encode_everything {
            return error;
        }
        wire::encode(&error).and_then(|bytes| wire::decode(&bytes)).unwrap_or_else(|worse| worse)
    }
}

#[async_trait]
impl Router for LocalRouter {
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        let host = self.host(target)?;
        let request = self.repacked(request)?;
        match with_deadline(deadline, host.handle(target, request, deadline)).await {
            Ok(reply) => self.repacked(reply),
            Err(error) => Err(self.repacked_error(error)),
        }
    }

    fn hint(&self, target: Target, news: Parcel) {
        let (Ok(permit), Ok(runtime)) =
            (self.hints.clone().try_acquire_owned(), tokio::runtime::Handle::try_current())
        else {
            metrics::counter!("rialto_router_hints_dropped_total").increment(1);
            return;
        };
        let ready = self.host(target).and_then(|host| Ok((host, self.repacked(news)?)));
        let (host, news) = match ready {
            Ok(ready) => ready,
            Err(error) => return tracing::debug!(%target, %error, "hint not delivered"),
        };
        runtime.spawn(async move {
            let deadline = Deadline::after(HINT_TIME);
            if let Err(error) = with_deadline(deadline, host.handle(target, news, deadline)).await {
                tracing::debug!(%target, %error, "hint failed");
            }
            drop(permit);
        });
    }

    /// There is no other node: whichever is named is this one.
    async fn call_node(
        &self,
        _node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel> {
        self.call(target, request, deadline).await
    }

    fn hint_node(&self, _node: NodeId, target: Target, news: Parcel) {
        self.hint(target, news);
    }
}

/// See [`LocalRouter::for_hosts`].
struct ForHosts(Weak<LocalRouter>);

impl ForHosts {
    fn router(&self) -> Result<Arc<LocalRouter>> {
        self.0.upgrade().ok_or_else(|| Error::unavailable("the node has ended"))
    }
}

#[async_trait]
impl Router for ForHosts {
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        self.router()?.call(target, request, deadline).await
    }

    fn hint(&self, target: Target, news: Parcel) {
        if let Some(router) = self.0.upgrade() {
            router.hint(target, news);
        }
    }

    async fn call_node(
        &self,
        node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel> {
        self.router()?.call_node(node, target, request, deadline).await
    }

    fn hint_node(&self, node: NodeId, target: Target, news: Parcel) {
        if let Some(router) = self.0.upgrade() {
            router.hint_node(node, target, news);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers `n` with `n + 1`, fails on 0 and hangs on `u32::MAX`.
    #[derive(Default)]
    struct Successor {
        handled: AtomicUsize,
    }

    #[async_trait]
    impl Host for Successor {
        async fn handle(&self, _: Target, request: Parcel, _: Deadline) -> Result<Parcel> {
            self.handled.fetch_add(1, Ordering::SeqCst);
            match request.open::<u32>()? {
                0 => Err(Error::not_found("zero").detail("asked for 0")),
                u32::MAX => std::future::pending().await,
                n => Ok(Parcel::typed(n + 1)),
            }
        }
    }

    fn target(service: ServiceId) -> Target {
        Target { service, key: 5, slot: Slot::new(9).unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_reach_the_host_encoded_or_not() {
        for encode_everything in [false, true] {
            let local = LocalRouter::new(encode_everything);
            local.register(ServiceId::MAILBOX, Arc::new(Successor::default()));
            let router: Arc<dyn Router> = Arc::new(local);
            let ask = |n: u32, service| {
                let deadline = Deadline::after(Duration::from_secs(10));
                router.ask::<u32, u32>(target(service), n, deadline)
            };
            assert_eq!(ask(4, ServiceId::MAILBOX).await, Ok(5));
            let refused = ask(0, ServiceId::MAILBOX).await.unwrap_err();
            assert_eq!(refused, Error::not_found("zero").detail("asked for 0"));
            let kind_of = |r: Result<u32>| r.unwrap_err().kind;
            assert_eq!(kind_of(ask(u32::MAX, ServiceId::MAILBOX).await), Kind::Timeout);
            assert_eq!(kind_of(ask(4, ServiceId::QUEUE).await), Kind::Unavailable);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn encoding_everything_finds_a_wrong_reply_type() {
        let local = LocalRouter::new(true);
        local.register(ServiceId::MAILBOX, Arc::new(Successor::default()));
        let router: Arc<dyn Router> = Arc::new(local);
        let deadline = Deadline::after(Duration::from_secs(10));
        let reply = router.ask::<u32, String>(target(ServiceId::MAILBOX), 4, deadline).await;
        assert_eq!(reply.unwrap_err().kind, Kind::Corrupt);
    }

    #[tokio::test(start_paused = true)]
    async fn hints_are_bounded_and_never_block() {
        let host = Arc::new(Successor::default());
        let router = LocalRouter::new(true);
        router.register(ServiceId::QUEUE, host.clone());
        router.hint(target(ServiceId::MAILBOX), Parcel::typed(1u32));
        for _ in 0..HINTS_AT_ONCE + 10 {
            router.hint(target(ServiceId::QUEUE), Parcel::typed(u32::MAX));
        }
        tokio::time::sleep(HINT_TIME * 2).await;
        assert_eq!(host.handled.load(Ordering::SeqCst), HINTS_AT_ONCE);
        // Those that hung have given their places back.
        router.hint(target(ServiceId::QUEUE), Parcel::typed(1u32));
        tokio::time::sleep(HINT_TIME).await;
        assert_eq!(host.handled.load(Ordering::SeqCst), HINTS_AT_ONCE + 1);
    }

    /// A host that asks its own router, as services do.
    struct Asking(Arc<dyn Router>);

    #[async_trait]
    impl Host for Asking {
        async fn handle(&self, at: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
            self.0.call(Target { service: ServiceId::MAILBOX, ..at }, request, deadline).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_hold_their_router_go_with_it() {
        let local = Arc::new(LocalRouter::new(true));
        let asking = Arc::new(Asking(local.for_hosts()));
        local.register(ServiceId::MAILBOX, Arc::new(Successor::default()));
        local.register(ServiceId::QUEUE, asking.clone());
        let deadline = Deadline::after(Duration::from_secs(10));
        let router: Arc<dyn Router> = local.clone();
        assert_eq!(router.ask::<u32, u32>(target(ServiceId::QUEUE), 4, deadline).await, Ok(5));
        let of_the_host = asking.0.clone();
        let watched = Arc::downgrade(&asking);
        drop((router, local, asking));
        assert!(watched.upgrade().is_none(), "the host outlives its router");
        let refused = of_the_host.ask::<u32, u32>(target(ServiceId::MAILBOX), 4, deadline).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Unavailable);
    }

    #[test]
    fn a_hint_outside_a_runtime_is_dropped() {
        let router = LocalRouter::default();
        router.register(ServiceId::QUEUE, Arc::new(Successor::default()));
        router.hint(target(ServiceId::QUEUE), Parcel::typed(1u32));
    }
}
