//! Nodes for tests: in a simulated network or over loopback, behind a switch that cuts and delays.

use crate::link::*;
use crate::pki::NodeIdentity;
use async_trait::async_trait;
use base::env::sim::Simulation;
use base::env::{Env, Stream};
use base::router::{Parcel, ServiceId, Target};
use base::{BootId, Deadline, Epoch, Error, NodeId, Result, Slot};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

pub(super) const CLUSTER: u128 = 0xc1;

pub(super) fn host(node: u64) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, node as u8).into()
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn target() -> Target {
    Target { service: ServiceId::MAILBOX, key: 5, slot: Slot::new(9).unwrap() }
}

/// What the tests' handler is asked to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Answer with the same.
    Echo(u64),
    /// Never answer.
    Hang,
    /// Answer after so many milliseconds.
    Slow(u64, u64),
    /// Answer with so many bytes.
    Large(usize),
    Fail,
    Panic,
}

impl Ask {
    pub(super) fn outbound(&self) -> Outbound {
        let payload = base::wire::encode(self).unwrap();
        let (lane, epoch) = (Lane::Data, Epoch(3));
        Outbound { lane, target: target(), epoch, hops: 0, payload }
    }
}

#[derive(Default)]
pub(super) struct Desk {
    /// How often each was begun.
    pub(super) begun: Mutex<HashMap<Ask, usize>>,
    pub(super) now: AtomicUsize,
    pub(super) most: AtomicUsize,
    pub(super) from: Mutex<Vec<(NodeId, Epoch, u8)>>,
}

impl Desk {
    pub(super) fn begun(&self, ask: &Ask) -> usize {
        self.begun.lock().get(ask).copied().unwrap_or(0)
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(SeqCst)
    }
}

struct Present<'a>(&'a Desk);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

#[async_trait]
impl LinkHandler for Desk {
    async fn handle(&self, incoming: Incoming) -> Result<Parcel> {
        let ask: Ask = incoming.payload.open()?;
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let _present = Present(self);
        *self.begun.lock().entry(ask.clone()).or_default() += 1;
        self.from.lock().push((incoming.from, incoming.epoch, incoming.hops));
        match ask {
            Ask::Echo(number) => Ok(Parcel::typed(number)),
            Ask::Hang => std::future::pending().await,
            Ask::Slow(ms, number) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(Parcel::typed(number))
            }
            Ask::Large(bytes) => Ok(Parcel::bytes(Bytes::from(vec![7; bytes]))),
            Ask::Fail => Err(Error::not_found("it").detail("asked to fail")),
            Ask::Panic => panic!("asked to panic"),
        }
    }
}

pub(super) struct Node {
    pub(super) links: Links,
    pub(super) desk: Arc<Desk>,
}

impl Node {
    pub(super) async fn ask(
        &self,
        node: u64,
        ask: Ask,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        self.links.call(NodeId(node), ask.outbound(), Deadline::after(within)).await
    }

    pub(super) async fn echo(&self, node: u64, number: u64) -> Result<u64, CallError> {
        let bytes = self.ask(node, Ask::Echo(number), secs(10)).await?;
        Ok(base::wire::decode(&bytes).unwrap())
    }

    pub(super) fn knows(&self, others: &[(u64, SocketAddr)]) {
        let members: BTreeMap<_, _> = others.iter().map(|(n, a)| (NodeId(*n), *a)).collect();
        self.links.set_peers(&members);
    }
}

pub(super) fn unprotected(node: u64) -> Security {
    Security::Unprotected(NodeIdentity { cluster_id: CLUSTER, node: NodeId(node) })
}

pub(super) fn setup(
    env: &Env,
    security: Security,
    boot: u128,
    settings: LinkSettings,
) -> (LinksSetup, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let setup = LinksSetup {
        env: env.clone(),
        security,
        boot: BootId(boot),
        feature_level: 1,
        schemas: LinksSetup::SCHEMAS,
        settings,
        handler: desk.clone(),
        join: None,
    };
    (setup, desk)
}

pub(super) async fn start_at(setup: LinksSetup, desk: Arc<Desk>, listen: SocketAddr) -> Node {
    Node { links: Links::start(setup, listen).await.unwrap(), desk }
}

/// A node of the simulated network, at its own host, port 7000.
pub(super) async fn start(world: &Simulation, node: u64, settings: LinkSettings) -> Node {
    let env = world.env_at(host(node), &world.disk);
    let (setup, desk) = setup(&env, unprotected(node), u128::from(node) << 32, settings);
    start_at(setup, desk, (host(node), 7000).into()).await
}

/// Node 2, which is started half a second from now.
pub(super) async fn comes_up_late(world: &Simulation, settings: LinkSettings) -> Node {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let two = start(world, 2, settings).await;
    two.knows(&[(1, (host(1), 7000).into())]);
    two
}

/// Nodes 1 and 2, with a switch between them.
pub(super) async fn pair(world: &Simulation, settings: LinkSettings) -> (Node, Node, Switch) {
    let (one, two) = (start(world, 1, settings).await, start(world, 2, settings).await);
    let switch = Switch::start(world, (host(2), 7000).into()).await;
    one.knows(&[(2, switch.address)]);
    two.knows(&[(1, (host(1), 7000).into())]);
    (one, two, switch)
}

/// A user-space switch in front of an address: stalls or delays each direction by itself.
pub(super) struct Switch {
    pub(super) address: SocketAddr,
    /// From who dials, and back to it.
    pub(super) lines: [Arc<Line>; 2],
    pub(super) connections: Arc<AtomicUsize>,
}

pub(super) struct Line {
    open: watch::Sender<bool>,
    delay_ms: AtomicUsize,
    pub(super) bytes: AtomicUsize,
}

impl Line {
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.open.send_replace(true);
    }

    pub(super) fn delay(&self, ms: usize) {
        self.delay_ms.store(ms, SeqCst);
    }

    async fn copy(
        &self,
        mut from: tokio::io::ReadHalf<Box<dyn Stream>>,
        mut to: tokio::io::WriteHalf<Box<dyn Stream>>,
    ) {
        let mut open = self.open.subscribe();
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            tokio::time::sleep(Duration::from_millis(self.delay_ms.load(SeqCst) as u64)).await;
            if open.wait_for(|open| *open).await.is_err() {
                return;
            }
            self.bytes.fetch_add(length, SeqCst);
            if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _gone = to.shutdown().await;
    }
}

impl Switch {
    pub(super) async fn start(world: &Simulation, to: SocketAddr) -> Self {
        let env = world.env_at(host(99), &world.disk);
        let listener = env.network.listen((host(99), 0).into()).await.unwrap();
        let line = || {
            let (open, delay_ms) = (watch::Sender::new(true), AtomicUsize::new(0));
            Arc::new(Line { open, delay_ms, bytes: AtomicUsize::new(0) })
        };
        let (lines, connections) = ([line(), line()], Arc::new(AtomicUsize::new(0)));
        let address = listener.local_address();
        let (inner, counter) = (lines.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                counter.fetch_add(1, SeqCst);
                let (env, lines) = (env.clone(), inner.clone());
                tokio::spawn(async move {
                    let Ok(far) = env.network.connect(to).await else { return };
                    let (near_read, near_write) = tokio::io::split(near);
                    let (far_read, far_write) = tokio::io::split(far);
                    futures::join!(
                        lines[0].copy(near_read, far_write),
                        lines[1].copy(far_read, near_write)
                    );
                });
            }
        });
        Self { address, lines, connections }
    }
}

/// Waits (in simulated or real time) until something holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
