//! A switch in user space between the links of a world's nodes: it can cut, delay and slow down each
//! direction of each pair, and heal again, without rights and without touching the machine.
//!
//! ```text
//! node-0 ──▶ port of node-1 on the switch ──▶ node-1's own port
//!            │ who dials? the kernel knows: [`source`]
//!            └ rules by (from, to): [`rules`], obeyed by each byte: [`pipe`]
//! ```
//!
//! A node keeps the address that the others know; that port is the switch's, and the node listens
//! elsewhere. A cut holds what is on its way, ends of connections included, as a network would that
//! drops packets: nobody is told, new connections come up and stay silent, and what is still wanted
//! arrives after the heal.

mod pipe;
pub mod rules;
pub mod source;

use crate::failure::Result;
use crate::random::Random;
use rules::{Party, Rules};
use source::Processes;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One port of the switch.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Where the others think that the party listens.
    pub port: u16,
    /// Who it is.
    pub to: Party,
    /// Where it really listens, on loopback.
    pub target: u16,
}

/// A running switch; it ends, and all its connections break, when it is dropped.
pub struct Switch {
    _ports: JoinSet<()>,
}

impl Switch {
    /// Opens the ports, under rules that can be changed at any time. The seed fixes the jitter.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn start(
        routes: &[Route],
        rules: &Rules,
        processes: &Processes,
        seed: u64,
    ) -> Result<Switch> {
        let mut ports = JoinSet::new();
        for (number, route) in (0_u64..).zip(routes) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, route.port)).await?;
            let port = Port {
                route: *route,
                rules: rules.clone(),
                processes: processes.clone(),
                random: Random::new(seed, 700_000 + number),
            };
            ports.spawn(port.serve(listener));
        }
        Ok(Switch { _ports: ports })
    }
}

struct Port {
    route: Route,
    rules: Rules,
    processes: Processes,
    random: Random,
}

impl Port {
    async fn serve(mut self, listener: TcpListener) {
        // Dropped with the port, and with them their connections.
        let mut connections = JoinSet::new();
        while let Ok((stream, peer)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            let random = Random::new(self.random.next_u64(), 0);
            let (route, rules) = (self.route, self.rules.clone());
            let processes = self.processes.clone();
            connections.spawn(async move {
                let from = who(&processes, peer, route.port).await;
                connect(stream, from, route, &rules, random).await;
            });
        }
    }
}

/// Who dials. Reading `/proc` blocks, so it gets a thread.
async fn who(processes: &Processes, peer: SocketAddr, port: u16) -> Party {
    let processes = processes.clone();
    let found = tokio::task::spawn_blocking(move || source::of(&processes, peer, port)).await;
    found.ok().flatten().unwrap_or(Party::Stranger)
}

/// Both directions of a connection, until both have ended or one broke.
async fn connect(near: TcpStream, from: Party, route: Route, rules: &Rules, mut random: Random) {
    // During a cut not even the connection comes about.
    rules.open(from, route.to).await;
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, route.target)).await else {
        return;
    };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    let there = pipe::Direction::new(rules, from, route.to, random.next_u64());
    let back = pipe::Direction::new(rules, route.to, from, random.next_u64());
    let there = pipe::run(there, near_reads, far_writes);
    let back = pipe::run(back, far_reads, near_writes);
    let _ = tokio::try_join!(there, back);
}

#[cfg(test)]
mod tests {
    use super::rules::{Kind, cuts};
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// Long for something that must come, short for something that must not.
    const COMES: Duration = Duration::from_secs(30);
    const STAYS_AWAY: Duration = Duration::from_millis(300);

    /// A party that echoes, and a connection to it over a switch; the test itself is node 0.
    async fn world() -> (Switch, Rules, TcpStream) {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.into_split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let processes = Processes::default();
        processes.set(Party::Node(0), Some(std::process::id()));
        let route = Route { port, to: Party::Node(1), target };
        let rules = Rules::default();
        let switch = Switch::start(&[route], &rules, &processes, 1).await.unwrap();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        (switch, rules, stream)
    }

    async fn echoes(stream: &mut TcpStream, word: &[u8; 4], patience: Duration) -> bool {
        stream.write_all(word).await.unwrap();
        let mut back = [0; 4];
        let read = timeout(patience, stream.read_exact(&mut back)).await;
        read.is_ok_and(|read| read.is_ok() && back == *word)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_direction_is_cut_by_itself_and_what_was_held_comes_after_the_heal() {
        for pair in [(Party::Node(0), Party::Node(1)), (Party::Node(1), Party::Node(0))] {
            let (_switch, rules, mut stream) = world().await;
            assert!(echoes(&mut stream, b"one.", COMES).await);
            rules.cut(&[pair]);
            assert!(!echoes(&mut stream, b"two.", STAYS_AWAY).await, "{pair:?}");
            rules.heal();
            let mut held = [0; 4];
            timeout(COMES, stream.read_exact(&mut held)).await.unwrap().unwrap();
            assert_eq!(&held, b"two.");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cut_elsewhere_disturbs_nobody_and_a_cut_hides_the_end() {
        let (_switch, rules, mut stream) = world().await;
        rules.cut(&cuts(Kind::Isolated(2), 3));
        assert!(echoes(&mut stream, b"one.", COMES).await);
        rules.cut(&[(Party::Node(1), Party::Node(0))]);
        stream.shutdown().await.unwrap();
        let mut end = [0; 1];
        let read = timeout(STAYS_AWAY, stream.read(&mut end)).await;
        assert!(read.is_err(), "the end came through: {read:?}");
        rules.heal();
        let read = timeout(COMES, stream.read(&mut end)).await.unwrap().unwrap();
        assert_eq!(read, 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_slow_pair_is_slow() {
        let (_switch, rules, mut stream) = world().await;
        let delay = Duration::from_millis(80);
        rules.slow(&[(Party::Node(0), Party::Node(1))], delay, None);
        let begun = std::time::Instant::now();
        assert!(echoes(&mut stream, b"one.", COMES).await);
        assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
    }
}
