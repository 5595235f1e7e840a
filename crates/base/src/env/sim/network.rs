//! A network in memory: hosts by address, listeners, and connections that a test can cut.

use super::stream::{Condition, SimStream};
use crate::env::{Listener, Network, Stream};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How many bytes are on their way in one direction before the sender waits.
const PIPE_BYTES: usize = 64 << 10;

/// How many connections wait to be accepted before further ones are refused.
const BACKLOG: usize = 1024;

/// How long a connection attempt into a partition lasts.
const CONNECT_TIME: Duration = Duration::from_secs(60);

/// A network as one of its hosts sees it; cheap to clone.
#[derive(Clone)]
pub struct SimNetwork {
    host: IpAddr,
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct World {
    listeners: HashMap<(IpAddr, u16), mpsc::Sender<(SimStream, SocketAddr)>>,
    /// Sockets by their paths, and the listeners that are behind them.
    paths: HashMap<(IpAddr, PathBuf), SocketAddr>,
    last_port: u16,
    partitions: HashSet<(IpAddr, IpAddr)>,
    connections: Vec<Side>,
}

/// One side of a connection: who reads and writes there, and who is at the other end.
struct Side {
    hosts: (IpAddr, IpAddr),
    condition: Weak<Mutex<Condition>>,
}

impl Default for SimNetwork {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            world: Arc::default(),
            changed: Arc::new(watch::Sender::new(())),
        }
    }
}

impl SimNetwork {
    /// The same network, seen from another host.
    pub fn at(&self, host: IpAddr) -> Self {
        Self { host, ..self.clone() }
    }

    /// Lets whoever listens at an address of this host be found by a path, too.
    pub fn set_path(&self, path: &Path, address: SocketAddr) {
        self.world.lock().paths.insert((self.host, path.to_owned()), address);
    }

    /// Stops all traffic between two hosts: connections stall, new ones time out.
    pub fn partition(&self, a: IpAddr, b: IpAddr) {
        let mut world = self.world.lock();
        world.partitions.insert(pair(a, b));
        world.each_between(a, b, |condition| condition.set_stalled(true));
    }

    /// Lets traffic between two hosts flow again; what had stalled goes on.
    pub fn heal(&self, a: IpAddr, b: IpAddr) {
        let mut world = self.world.lock();
        world.partitions.remove(&pair(a, b));
        world.each_between(a, b, |condition| condition.set_stalled(false));
        drop(world);
        self.changed.send_replace(());
    }

    /// Breaks all connections between two hosts; both sides get errors.
    pub fn cut(&self, a: IpAddr, b: IpAddr) {
        self.world.lock().each_between(a, b, Condition::reset);
    }

    /// Loopback and "any" addresses mean the host itself.
    fn resolve(&self, address: SocketAddr) -> (IpAddr, u16) {
        let ip = address.ip();
        let own = ip.is_loopback() || ip.is_unspecified();
        (if own { self.host } else { ip }, address.port())
    }

    async fn until_reachable(&self, peer: IpAddr) -> io::Result<()> {
        let mut changed = self.changed.subscribe();
        let reachable = async {
            while self.world.lock().partitions.contains(&pair(self.host, peer)) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(CONNECT_TIME, reachable)
            .await
            .map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}

impl World {
    fn each_between(&mut self, a: IpAddr, b: IpAddr, act: impl Fn(&mut Condition)) {
        self.connections.retain(|side| {
            let Some(condition) = side.condition.upgrade() else {
                return false;
            };
            if side.hosts == pair(a, b) {
                act(&mut condition.lock());
            }
            true
        });
    }

    fn free_port(&mut self, host: IpAddr) -> io::Result<u16> {
        for _ in 0..=u16::MAX {
            self.last_port = self.last_port.wrapping_add(1).max(40_000);
            if !self.listeners.contains_key(&(host, self.last_port)) {
                return Ok(self.last_port);
            }
        }
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    fn side(&mut self, a: IpAddr, b: IpAddr, pipe: tokio::io::DuplexStream) -> SimStream {
        let condition = Arc::new(Mutex::new(Condition::default()));
        if self.connections.len() >= 64 && self.connections.len().is_power_of_two() {
            self.connections.retain(|side| side.condition.strong_count() > 0);
        }
        let side = Side { hosts: pair(a, b), condition: Arc::downgrade(&condition) };
        self.connections.push(side);
        SimStream::new(pipe, condition)
    }
}

#[async_trait]
impl Network for SimNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (host, mut port) = self.resolve(address);
        let mut world = self.world.lock();
        if port == 0 {
            port = world.free_port(host)?;
        }
        if world.listeners.get(&(host, port)).is_some_and(|queue| !queue.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (arriving, arrived) = mpsc::channel(BACKLOG);
        world.listeners.insert((host, port), arriving);
        let address = SocketAddr::new(address.ip(), port);
        Ok(Box::new(SimListener { arrived: arrived.into(), address }))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let (peer, port) = self.resolve(address);
        self.until_reachable(peer).await?;
        let mut world = self.world.lock();
        let queue = world.listeners.get(&(peer, port)).cloned();
        let queue = queue.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (here, there) = tokio::io::duplex(PIPE_BYTES);
        let own = SocketAddr::new(self.host, world.free_port(self.host)?);
        let here = world.side(self.host, peer, here);
        let there = world.side(self.host, peer, there);
        queue.try_send((there, own)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(here))
    }

    async fn connect_local(&self, path: &Path) -> io::Result<Box<dyn Stream>> {
        let found = self.world.lock().paths.get(&(self.host, path.to_owned())).copied();
        self.connect(found.ok_or(io::ErrorKind::NotFound)?).await
    }
}

struct SimListener {
    arrived: tokio::sync::Mutex<mpsc::Receiver<(SimStream, SocketAddr)>>,
    address: SocketAddr,
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        match self.arrived.lock().await.recv().await {
            Some((stream, peer)) => Ok((Box::new(stream), peer)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
