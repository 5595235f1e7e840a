//! Behind load balancers: whose word is taken for who a client is, and whose is not.

use crate::support::{Authority, MINUTE, Shouting, name};
use access_listener::transcript::{Player, Transcript};
use access_listener::{Listener, ListenerConfig, ProxyProtocol, TlsMode};
use base::env::sim::{SimDisk, Simulation, test_seed};
use base::env::{Env, Stream};
use base::{Deadline, Universe};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ADDRESS: &str = "10.0.0.1:25";
/// For version 2: 192.0.2.7:4711 at 10.0.0.1:25, and something of the proxy's own.
const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\0\x19\
    \x04\0\x03abc";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Believes 10.0.0.2, and what is in 10.0.1.0/24.
fn config() -> ListenerConfig {
    let from = ["10.0.0.2/32", "10.0.1.0/24"].map(|range| range.parse().unwrap()).to_vec();
    let config = ListenerConfig::new("test", ADDRESS.parse().unwrap(), TlsMode::None);
    ListenerConfig { proxy_protocol: Some(ProxyProtocol { from }), ..config }
}

async fn start(world: &Simulation, config: ListenerConfig) -> Listener {
    Listener::start(config, &at(world, 0, 1), None, Arc::new(Shouting)).await.unwrap()
}

fn at(world: &Simulation, third: u8, fourth: u8) -> Env {
    world.env_at(IpAddr::from([10, 0, third, fourth]), &SimDisk::default())
}

async fn connect(env: &Env) -> Box<dyn Stream> {
    env.network.connect(ADDRESS.parse().unwrap()).await.unwrap()
}

/// What one client sees behind a header.
async fn check(env: &Env, header: &[u8], text: &str) {
    let mut stream = connect(env).await;
    stream.write_all(header).await.unwrap();
    let script = Transcript::parse(text).unwrap();
    let played = Player::new(stream).play(&script).await;
    played.unwrap_or_else(|error| panic!("{}: {error}", header.escape_ascii()));
}

#[test]
fn a_client_is_who_a_trusted_proxy_says() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&world, config()).await;
        for proxy in [at(&world, 0, 2), at(&world, 1, 77)] {
            let line = b"PROXY TCP4 192.0.2.9 10.0.0.1 4712 25\r\n";
            check(&proxy, line, "S: hello\nC: peer\nS: 192.0.2.9:4712").await;
            let line = b"PROXY TCP6 2001:db8::9 ::1 4712 25\r\nx\r\n";
            check(&proxy, line, "S: hello\nS: X\nC: peer\nS: [2001:db8::9]:4712").await;
            check(&proxy, VERSION_2, "S: hello\nC: peer\nS: 192.0.2.7:4711").await;
            // The proxy itself, say to see whether the server is there.
            check(&proxy, LOCAL, "S: hello\nC: peer\nS? 10.0.*").await;
            check(&proxy, b"PROXY UNKNOWN\r\n", "S: hello\nC: peer\nS? 10.0.*").await;
        }
        // Who comes by itself needs no header.
        check(&at(&world, 0, 3), b"", "S: hello\nC: peer\nS? 10.0.0.3:*").await;
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 0);
    });
}

#[test]
fn attack_13_a_header_of_somebody_else_is_not_believed() {
    Universe::simulate(test_seed(), async |world| {
        let _listener = start(&world, config()).await;
        let stranger = at(&world, 0, 3);
        let line = b"PROXY TCP4 192.0.2.9 10.0.0.1 4712 25\r\n";
        let taken = "S: hello\nS: PROXY TCP4 192.0.2.9 10.0.0.1 4712 25\nC: peer\nS? 10.0.0.3:*";
        check(&stranger, line, taken).await;
        // A second header, or a client's own behind a proxy's, is the client's word.
        let twice = [VERSION_2, line].concat();
        let taken =
            "S: hello\nS: PROXY TCP4 192.0.2.9 10.0.0.1 4712 25\nC: peer\nS: 192.0.2.7:4711";
        check(&at(&world, 0, 2), &twice, taken).await;
    });
}

#[test]
fn attack_13_a_proxy_that_names_nobody_is_not_served() {
    Universe::simulate(test_seed(), async |world| {
        let listener = start(&world, config()).await;
        let proxy = at(&world, 0, 2);
        for garbage in [
            &b"EHLO client\r\n"[..],
            b"PROXY TCP4 192.0.2.9\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ] {
            check(&proxy, garbage, "! closed").await;
        }
        // Silence, and a header that comes too slowly, end after five seconds.
        let silent = connect(&proxy).await;
        let slow = tokio::spawn({
            let mut stream = connect(&proxy).await;
            async move {
                for byte in VERSION_2 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            }
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(listener.connections(), 2);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(listener.connections(), 0);
        drop(silent);
        slow.await.unwrap();
        // Whoever waits for a header does not hold up the end.
        let _silent = connect(&proxy).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(listener.drain(Deadline::after(Duration::from_secs(1))).await, 0);
    });
}

#[test]
fn attack_17_clients_behind_a_proxy_are_counted_one_by_one() {
    Universe::simulate(test_seed(), async |world| {
        let limited = ListenerConfig { connections_max: 8, per_source_max: 2, ..config() };
        let listener = start(&world, limited).await;
        let proxy = at(&world, 0, 2);
        let mut open = Vec::new();
        for host in [7, 7, 8, 8, 9] {
            let mut stream = connect(&proxy).await;
            let line = format!("PROXY TCP4 192.0.2.{host} 10.0.0.1 1 25\r\n");
            stream.write_all(line.as_bytes()).await.unwrap();
            let mut hello = [0; 7];
            stream.read_exact(&mut hello).await.unwrap();
            open.push(stream);
        }
        check(&proxy, VERSION_2, "S: no: SourceFull\n! closed").await;
        check(&proxy, b"PROXY TCP4 192.0.2.9 10.0.0.1 1 25\r\n", "S: hello").await;
        // Another machine's loopback is a source like others.
        for _ in 0..2 {
            let mut stream = connect(&proxy).await;
            stream.write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n").await.unwrap();
            let mut hello = [0; 7];
            stream.read_exact(&mut hello).await.unwrap();
            open.push(stream);
        }
        let line = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n";
        check(&proxy, line, "S: no: SourceFull\n! closed").await;
        open.push(connect(&proxy).await);
        check(&proxy, b"", "S: no: Full\n! closed").await;
        drop(open);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(listener.connections(), 0, "places come back");
        check(&proxy, VERSION_2, "S: hello").await;
    });
}

#[test]
fn a_header_stands_before_the_handshake() {
    Universe::simulate(test_seed(), async |world| {
        let authority = Authority::new();
        let config = ListenerConfig { tls: TlsMode::Implicit, ..config() };
        let settings = authority.settings("mail.test");
        let env = at(&world, 0, 1);
        let _listener =
            Listener::start(config, &env, Some(settings), Arc::new(Shouting)).await.unwrap();
        let script = "! tls\nS: hello\nC: info\nS: Some(\"TLSv1.3\")\nC: peer\nS: 192.0.2.7:4711";
        let script = Transcript::parse(script).unwrap();
        let mut stream = connect(&at(&world, 0, 2)).await;
        stream.write_all(VERSION_2).await.unwrap();
        let player = Player::new(stream).with_tls(authority.client(), name("mail.test"));
        player.play(&script).await.unwrap();
    });
}
