//! Accept loops: service, limits, descriptors, drain.

use crate::support::{MINUTE, Shouting};
use access_listener::config::PER_NETWORK_MAX;
use access_listener::transcript::{Player, Transcript};
use access_listener::{Listener, ListenerConfig, TlsMode};
use async_trait::async_trait;
use base::env::sim::{SimDisk, Simulation, test_seed};
use base::env::{Env, Network, Stream};
use base::{Deadline, Universe};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;

const ADDRESS: &str = "10.0.0.1:25";

fn config() -> ListenerConfig {
    ListenerConfig::new("test", ADDRESS.parse().unwrap(), TlsMode::None)
}

async fn start(env: &Env, config: ListenerConfig) -> Listener {
    Listener::start(config, env, None, Arc::new(Shouting)).await.unwrap()
}

/// The world as the host with this last octet sees it.
fn at(world: &Simulation, octet: u8) -> Env {
    world.env_at(IpAddr::from([10, 0, 0, octet]), &SimDisk::default())
}

async fn connect(env: &Env) -> Box<dyn Stream> {
    env.network.connect(ADDRESS.parse().unwrap()).await.unwrap()
}

async fn play(env: &Env, text: &str) -> Result<(), String> {
    Player::new(connect(env).await).play(&Transcript::parse(text).unwrap()).await
}

#[test]
fn sessions_are_served_and_a_panic_ends_only_its_own() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&at(&world, 1), config()).await;
        let client = at(&world, 2);
        play(&client, "S: hello\nC: a\nC: b\nS: A\nS: B\nC: quit\n! closed").await.unwrap();
        play(&client, "S: hello\nC: panic\n! closed").await.unwrap();
        play(&client, "S: hello\nC: a\nS: A").await.unwrap();
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 0);
    });
}

#[test]
fn attack_17_connections_over_a_limit_are_told_and_closed() {
    Universe::simulate(test_seed(), async |world| {
        let limited = ListenerConfig { connections_max: 4, per_source_max: 3, ..config() };
        let listener = start(&at(&world, 1), limited).await;
        let (one, two) = (at(&world, 2), at(&world, 3));
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(connect(&one).await);
        }
        play(&one, "S: no: SourceFull\n! closed").await.unwrap();
        open.push(connect(&two).await);
        play(&two, "S: no: Full\n! closed").await.unwrap();
        assert_eq!(listener.connections(), 4);
        // A thousand more do not hurt, and places come back.
        for _ in 0..1000 {
            drop(connect(&one).await);
        }
        drop(open);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(listener.connections(), 0);
        play(&one, "S: hello").await.unwrap();
    });
}

#[test]
fn attack_17_ten_thousand_connections_from_one_neighbourhood() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&at(&world, 1), config()).await;
        let mut open = Vec::new();
        for host in 0..=255 {
            let client = world.env_at(IpAddr::from([192, 0, 2, host]), &SimDisk::default());
            for _ in 0..40 {
                open.push(connect(&client).await);
            }
            // What waits to be accepted is bounded, too.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(listener.connections(), PER_NETWORK_MAX);
        // Others are served as if nothing were.
        play(&at(&world, 2), "S: hello\nC: a\nS: A\nC: quit\n! closed").await.unwrap();
        let (mut served, mut refused) = (0, 0);
        for mut stream in open {
            let mut said = [0; 32];
            match stream.read(&mut said).await {
                Ok(read) if said[..read].starts_with(b"hello") => served += 1,
                Ok(read) if said[..read].starts_with(b"no: SourceFull") => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((served, refused), (PER_NETWORK_MAX, 10_240 - PER_NETWORK_MAX));
        tokio::time::sleep(MINUTE).await;
        assert_eq!(listener.connections(), 0, "places come back");
    });
}

#[test]
fn drain_refuses_new_connections_and_waits_for_sessions() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&at(&world, 1), config()).await;
        let client = at(&world, 2);
        let polite = Transcript::parse("S: hello\nS: bye\n! closed").unwrap();
        let player = Player::new(connect(&client).await);
        let polite = tokio::spawn(async move { player.play(&polite).await });
        // This one does not read, but that does not keep its session from ending.
        let silent = connect(&client).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 0);
        polite.await.unwrap().unwrap();
        let refused = client.network.connect(ADDRESS.parse().unwrap()).await;
        assert_eq!(refused.err().map(|e| e.kind()), Some(io::ErrorKind::ConnectionRefused));
        drop(silent);
    });
}

/// Sessions that wait for something that never comes are cut off at the deadline: those who listen
/// are told why, and nobody gets the beginning of a reply that has no end.
#[test]
fn drain_ends_sessions_that_do_not_end() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&at(&world, 1), config()).await;
        let client = at(&world, 2);
        let mut players = Vec::new();
        for script in [
            "S: hello\nC: stuck\nS: no: Stopping\n! closed",
            "S: hello\nC: half\n! closed",
            "S: hello\nS: bye\n! closed",
        ] {
            let (script, player) =
                (Transcript::parse(script).unwrap(), Player::new(connect(&client).await));
            players.push(tokio::spawn(async move { player.play(&script).await }));
        }
        let silent = connect(&client).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = client.clock.monotonic();
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 2);
        let took = client.clock.monotonic() - began;
        assert!(took < MINUTE + Duration::from_secs(2), "{took:?}");
        for player in players {
            player.await.unwrap().unwrap();
        }
        drop(silent);
    });
}

/// A network that runs out of descriptors for the first accepts.
struct Scarce {
    inner: Arc<dyn Network>,
    failures: u32,
    accepts: Arc<AtomicU32>,
}

struct ScarceListener {
    inner: Box<dyn base::env::Listener>,
    failures: u32,
    accepts: Arc<AtomicU32>,
}

#[async_trait]
impl Network for Scarce {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn base::env::Listener>> {
        let inner = self.inner.listen(address).await?;
        let (failures, accepts) = (self.failures, self.accepts.clone());
        Ok(Box::new(ScarceListener { inner, failures, accepts }))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.inner.connect(address).await
    }
}

#[async_trait]
impl base::env::Listener for ScarceListener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        const EMFILE: i32 = 24;
        if self.accepts.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        self.inner.accept().await
    }

    fn local_address(&self) -> SocketAddr {
        self.inner.local_address()
    }
}

#[test]
fn attack_70_without_descriptors_the_accept_loop_waits_and_recovers() {
    Universe::simulate(test_seed(), async |world| {
        let accepts = Arc::new(AtomicU32::new(0));
        let server = at(&world, 1);
        let network =
            Scarce { inner: server.network.clone(), failures: 60, accepts: accepts.clone() };
        let env = Env { network: Arc::new(network), ..server };
        let listener = start(&env, config()).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let tried = accepts.load(Ordering::SeqCst);
        assert!((20..=45).contains(&tried), "{tried} accepts in 30 s");
        let begun = env.clock.monotonic();
        play(&at(&world, 2), "S: hello\nC: a\nS: A").await.unwrap();
        assert!(env.clock.monotonic() - begun < MINUTE);
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 0);
    });
}
