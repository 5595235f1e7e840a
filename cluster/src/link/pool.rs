//! The links of one node: one to each other node, kept up.

use super::connection::{Link, LinkStatus, Side, Wires};
use super::error::{CallError, violation};
use super::handler::{JoinHandler, LinkHandler};
use super::hello::{Hello, SCHEMAS};
use super::joining::serve_join;
use super::outgoing::Outbound;
use super::peer::Peer;
use super::reading::broken;
use super::security::{Accepted, Secured, Security};
use super::settings::LinkSettings;
use base::actor::{Backoff, Verdict};
use base::env::{Env, Listener, Stream};
use base::{BootId, Deadline, Error, NodeId, Result, with_deadline};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long after the end of a link to look whether anybody listens at the other end: a process
/// that is killed does not close all it has in one instant.
const KNOCK_DELAY: Duration = Duration::from_millis(20);

/// A link that has held for so long was a good one: the next attempt is not one of many.
const HELD_WELL: Duration = Duration::from_millis(500);

/// How long accepting pauses after an error of the system.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What links are made of.
pub struct LinksSetup {
    /// Network, clock and randomness.
    pub env: Env,
    /// How links are protected, and with it who this node is.
    pub security: Security,
    /// This start.
    pub boot: BootId,
    /// The highest feature level that this binary understands.
    pub feature_level: u32,
    /// The schemas of frames that this binary speaks: [`LinksSetup::SCHEMAS`] but in tests.
    pub schemas: RangeInclusive<u16>,
    /// Limits and times.
    pub settings: LinkSettings,
    /// Serves what other nodes ask.
    pub handler: Arc<dyn LinkHandler>,
    /// Answers nodes that want to join; without it they are sent away.
    pub join: Option<Arc<dyn JoinHandler>>,
}

impl LinksSetup {
    /// The schemas of frames that this version speaks.
    pub const SCHEMAS: RangeInclusive<u16> = SCHEMAS;
}

/// The links of one node. Dropping it ends them all at once.
pub struct Links {
    inner: Arc<Inner>,
    address: SocketAddr,
}

struct Inner {
    setup: LinksSetup,
    node: NodeId,
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    handshakes: Arc<Semaphore>,
    /// Until when nobody is dialled or let in, by the monotonic clock: a drill.
    isolated_until: Mutex<Option<Duration>>,
    on_refusal: OnceLock<Box<dyn Fn(NodeId) + Send + Sync>>,
    stopped: CancellationToken,
}

/// Another node, as its link shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    /// Which node.
    pub node: NodeId,
    /// Where it is dialled or expected from.
    pub address: SocketAddr,
    /// Its link; `None` while there is none.
    pub link: Option<LinkStatus>,
}

impl Links {
    /// Listens for other nodes. Nobody is let in, and nobody dialled, before
    /// [`Links::set_peers`]; new nodes may join at once.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`] if the address cannot be listened on.
    pub async fn start(setup: LinksSetup, listen: SocketAddr) -> Result<Self> {
        let listener = setup.env.network.listen(listen).await;
        let listener = listener.map_err(|error| {
            Error::unavailable(format!("links: cannot listen on {listen}: {error}"))
        })?;
        let address = listener.local_address();
        let inner = Arc::new(Inner {
            node: setup.security.identity().node,
            handshakes: Arc::new(Semaphore::new(setup.settings.handshakes_max)),
            peers: RwLock::default(),
            isolated_until: Mutex::default(),
            on_refusal: OnceLock::new(),
            stopped: CancellationToken::new(),
            setup,
        });
        tokio::spawn(inner.clone().accept(listener));
        Ok(Self { inner, address })
    }

    /// Where this node listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Who the other nodes are and where; this node itself is left out. Called whenever the node
    /// table changes: links to nodes that are gone or have moved end, the others stay.
    pub fn set_peers(&self, members: &BTreeMap<NodeId, SocketAddr>) {
        let inner = &self.inner;
        let mut peers = inner.peers.write();
        peers.retain(|node, peer| {
            let stays = members.get(node) == Some(&peer.address);
            if !stays {
                peer.remove();
            }
            stays
        });
        for (node, address) in members.iter().filter(|(node, _)| **node != inner.node) {
            if !peers.contains_key(node) && !inner.stopped.is_cancelled() {
                let (settings, stopped) = (&inner.setup.settings, inner.stopped.child_token());
                let peer = Peer::new(*node, *address, settings, stopped);
                peers.insert(*node, peer.clone());
                if inner.dials(*node) {
                    tokio::spawn(inner.clone().keep_dialling(peer));
                }
            }
        }
    }

    /// Asks another node, and waits for the answer. A request that finds no link waits for one,
    /// for [`LinkSettings::link_wait`] at most.
    ///
    /// # Errors
    /// As [`Link::call`]; [`base::Kind::Unavailable`] for a node that is not known or has no link.
    pub async fn call(
        &self,
        node: NodeId,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError> {
        let peer = self.inner.peer(node);
        let peer = peer.ok_or_else(|| CallError::no_link(format!("{node} is not known")))?;
        peer.call(outbound, deadline, self.inner.setup.settings.link_wait).await
    }

    /// Tells another node without waiting; lost where there is no link or no credit.
    pub fn hint(&self, node: NodeId, outbound: Outbound) {
        let link = self.inner.peer(node).and_then(|peer| peer.link());
        if link.is_none_or(|link| link.hint(outbound).is_err()) {
            metrics::counter!("rialto_link_hints_dropped_total").increment(1);
        }
    }

    /// The link to a node, if there is one now.
    pub fn link(&self, node: NodeId) -> Option<Arc<Link>> {
        self.inner.peer(node)?.link()
    }

    /// All other nodes and their links.
    pub fn status(&self) -> Vec<PeerStatus> {
        let peers = self.inner.peers.read();
        let status = peers.values().map(|peer| PeerStatus {
            node: peer.node,
            address: peer.address,
            link: peer.link().map(|link| link.status()),
        });
        status.collect()
    }

    /// Has somebody told of nodes at whose address nobody listens: most likely their process is
    /// gone. Told by the side that dials when it tries, and by the other when its link has ended.
    /// Only the first call counts.
    pub fn on_refusal(&self, told: impl Fn(NodeId) + Send + Sync + 'static) {
        let _first_one_stays = self.inner.on_refusal.set(Box::new(told));
    }

    /// For a drill: ends all links, and makes and accepts none for so long.
    pub fn isolate(&self, duration: Duration) {
        let until = self.inner.setup.env.clock.monotonic() + duration;
        *self.inner.isolated_until.lock() = Some(until);
        let peers = self.inner.peers.read();
        for link in peers.values().filter_map(|peer| peer.link()) {
            link.end(&broken("the node is isolated for a drill"));
        }
    }

    /// Ends everything at once, as dropping does.
    pub fn end_now(&self) {
        self.inner.stop();
    }

    /// Lets what is under way be answered, then closes all links; at the deadline without
    /// waiting any longer.
    pub async fn shut_down(&self, deadline: Deadline) {
        let links: Vec<_> = {
            let peers = self.inner.peers.read();
            peers.values().filter_map(|peer| peer.link()).collect()
        };
        links.iter().for_each(|link| link.retire("the node is shutting down"));
        let all = futures::future::join_all(links.iter().map(|link| link.ended()));
        if tokio::time::timeout_at(deadline.instant(), all).await.is_err() {
            tracing::warn!("links were closed with requests under way");
        }
        self.inner.stop();
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.inner.stop();
    }
}

impl Inner {
    fn stop(&self) {
        self.stopped.cancel();
        let peers = std::mem::take(&mut *self.peers.write());
        peers.values().for_each(|peer| peer.remove());
    }

    fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.peers.read().get(&node).cloned()
    }

    /// Of two nodes the one with the lower id dials, so that there is one link for both.
    fn dials(&self, node: NodeId) -> bool {
        self.node < node
    }

    fn hello(&self) -> Hello {
        let identity = self.setup.security.identity();
        Hello {
            schemas: self.setup.schemas.clone(),
            cluster_id: identity.cluster_id,
            node: identity.node,
            boot: self.setup.boot,
            feature_level: self.setup.feature_level,
            windows: self.setup.settings.windows,
        }
    }

    async fn keep_dialling(self: Arc<Self>, peer: Arc<Peer>) {
        let mut backoff = Backoff::new(self.setup.settings.backoff);
        let clock = &self.setup.env.clock;
        loop {
            let why = tokio::select! {
                () = peer.removed.cancelled() => return,
                why = self.dial_and_run(&peer) => why,
            };
            let linked_at = std::mem::take(&mut *peer.linked_at.lock());
            if linked_at.is_some_and(|at| clock.monotonic().saturating_sub(at) >= HELD_WELL) {
                backoff = Backoff::new(self.setup.settings.backoff);
            }
            let wait = match backoff.failed(clock.monotonic(), self.setup.env.random.u64()) {
                Verdict::Restart(wait) => wait,
                Verdict::GiveUp => self.setup.settings.backoff.longest,
            };
            let (node, address) = (peer.node, peer.address);
            tracing::debug!(%node, %address, error = %why, ?wait, "no link");
            tokio::select! {
                () = peer.removed.cancelled() => return,
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// Not while a drill keeps this node apart.
    fn check_isolation(&self) -> Result<()> {
        let mut until = self.isolated_until.lock();
        if until.is_some_and(|until| self.setup.env.clock.monotonic() < until) {
            return Err(broken("the node is isolated for a drill"));
        }
        *until = None;
        Ok(())
    }

    fn note_refusal<T>(&self, peer: &Peer, connected: &io::Result<T>) {
        let refused = matches!(connected, Err(e) if e.kind() == io::ErrorKind::ConnectionRefused);
        if refused && let Some(told) = self.on_refusal.get() {
            told(peer.node);
        }
    }

    /// The side that does not dial finds out whether anybody is left to do so.
    async fn knock(&self, peer: &Peer) {
        if self.on_refusal.get().is_none() || peer.removed.is_cancelled() {
            return;
        }
        self.setup.env.clock.sleep(KNOCK_DELAY).await;
        let connect = self.setup.env.network.connect(peer.address);
        let limit = self.setup.settings.handshake_time;
        if let Ok(connected) = tokio::time::timeout(limit, connect).await {
            self.note_refusal(peer, &connected);
        }
    }

    async fn dial_and_run(&self, peer: &Arc<Peer>) -> Error {
        if let Err(error) = self.check_isolation() {
            return error;
        }
        let deadline = Deadline::after(self.setup.settings.handshake_time);
        let dialling = async {
            let connected = self.setup.env.network.connect(peer.address).await;
            self.note_refusal(peer, &connected);
            let stream = connected.map_err(broken)?;
            let secured = self.setup.security.dial(stream).await?;
            let expected = |found: &Hello| match found.node == peer.node {
                true => Ok(()),
                false => Err(violation(format!("it is {}, not {}", found.node, peer.node))),
            };
            // Found out before anything is said, where it is proven.
            if let Some(facts) = &secured.peer
                && facts.identity.node != peer.node
            {
                let found = facts.identity.node;
                return Err(violation(format!("it is {found}, not {}", peer.node)));
            }
            self.establish(secured, Side::Dials, expected).await
        };
        match with_deadline(deadline, Box::pin(dialling)).await {
            Ok((link, wires)) => {
                peer.publish(&link);
                *peer.linked_at.lock() = Some(self.setup.env.clock.monotonic());
                tracing::info!(node = %peer.node, schema = link.schema, "link up");
                let why = link.clone().run(wires).await;
                peer.withdraw(&link, &why);
                tracing::info!(node = %peer.node, error = %why, "link down");
                why
            }
            Err(error) => error,
        }
    }

    async fn establish(
        &self,
        secured: Secured,
        side: Side,
        admit: impl FnOnce(&Hello) -> Result<()>,
    ) -> Result<(Arc<Link>, Wires)> {
        self.check_isolation()?;
        let (hello, settings) = (self.hello(), &self.setup.settings);
        let parts = (self.setup.handler.clone(), self.setup.env.clock.clone());
        Link::establish(secured, (&hello, side), settings, parts, admit).await
    }

    async fn accept(self: Arc<Self>, listener: Box<dyn Listener>) {
        loop {
            let accepted = tokio::select! {
                () = self.stopped.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "links: accepting a connection");
                    self.setup.env.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = self.handshakes.clone().try_acquire_owned() else {
                metrics::counter!("rialto_link_handshakes_refused_total").increment(1);
                continue;
            };
            let inner = self.clone();
            tokio::spawn(async move {
                let stopped = inner.stopped.clone();
                let serving = Box::pin(inner.serve(stream, place));
                let ended = tokio::select! {
                    () = stopped.cancelled() => return,
                    ended = serving => ended,
                };
                if let Err(error) = ended {
                    tracing::info!(%address, %error, "links: a connection was refused");
                }
            });
        }
    }

    /// Serves one connection that came in; the place is given back after its handshake.
    async fn serve(
        &self,
        stream: Box<dyn Stream>,
        place: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<()> {
        let settings = &self.setup.settings;
        let deadline = Deadline::after(settings.handshake_time);
        let secured = match with_deadline(deadline, self.setup.security.accept(stream)).await? {
            Accepted::Link(secured) => secured,
            Accepted::Join(stream) => {
                let join = self.setup.join.as_ref();
                let join = join.ok_or_else(|| broken("nodes cannot join here"))?;
                // A store transaction and an entry of Raft take longer than a handshake.
                let deadline = Deadline::after(settings.frame_time);
                return with_deadline(deadline, serve_join(stream, &**join, settings)).await;
            }
        };
        let mut known = None;
        let admit = |found: &Hello| {
            known = self.peer(found.node);
            match known {
                Some(_) if !self.dials(found.node) => Ok(()),
                Some(_) => Err(violation(format!("{} must wait to be dialled", found.node))),
                None => Err(violation(format!("{} is not a member", found.node))),
            }
        };
        let establishing = self.establish(secured, Side::Accepts, admit);
        let (link, wires) = with_deadline(deadline, Box::pin(establishing)).await?;
        drop(place);
        let Some(peer) = known else {
            return Ok(());
        };
        peer.publish(&link);
        tracing::info!(node = %peer.node, schema = link.schema, "link up");
        let why = link.clone().run(wires).await;
        peer.withdraw(&link, &why);
        tracing::info!(node = %peer.node, error = %why, "link down");
        self.knock(&peer).await;
        Ok(())
    }
}
