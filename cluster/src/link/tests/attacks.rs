//! Peers that break the rules, on links without protection (so that they get that far).

use super::world::*;
use crate::link::frame::{FRAME_BYTES_MAX, FailureHead, Frame, RequestHead};
use crate::link::*;
use base::env::Stream;
use base::env::sim::{Simulation, test_seed};
use base::{BootId, Epoch, Error, NodeId, Universe};
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn hello(node: u64) -> Hello {
    let windows = LinkSettings::default().windows;
    let (node, boot) = (NodeId(node), BootId(9));
    Hello { schemas: 1..=1, cluster_id: CLUSTER, node, boot, feature_level: 1, windows }
}

fn request(id: u64, ask: &Ask) -> Frame {
    let Outbound { lane, target, payload, .. } = ask.outbound();
    let head = RequestHead { id, lane, hops: 0, target, epoch: Epoch(1), deadline_ms: 60_000 };
    Frame::Request { head, payload }
}

/// Node 2 with a peer, node 1, that this test plays.
async fn victim(world: &Simulation, settings: LinkSettings) -> Node {
    let two = start(world, 2, settings).await;
    two.knows(&[(1, (host(1), 7000).into()), (3, (host(3), 7000).into())]);
    two
}

async fn raw(world: &Simulation) -> Box<dyn Stream> {
    let network = world.env_at(host(1), &world.disk).network;
    network.connect((host(2), 7000).into()).await.unwrap()
}

async fn put(stream: &mut Box<dyn Stream>, frame: &Frame) {
    stream.write_all(&frame.encode().unwrap().to_bytes()).await.unwrap();
}

/// A stream on which hello has been said both ways.
async fn linked(world: &Simulation) -> Box<dyn Stream> {
    let mut stream = raw(world).await;
    put(&mut stream, &Frame::Hello(hello(1))).await;
    let mut theirs = [0; 7 + 76];
    stream.read_exact(&mut theirs).await.unwrap();
    assert_eq!(theirs[4], 1);
    stream
}

/// What comes until the victim closes; must come to an end.
async fn rest(stream: &mut Box<dyn Stream>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(secs(60), stream.read_to_end(&mut bytes)).await;
    let _reset_or_end = end.expect("the link stays open");
    bytes
}

/// A node that plays by the rules is served all the same.
async fn still_serves(world: &Simulation, two: &Node) {
    let three = start(world, 3, LinkSettings::default()).await;
    three.knows(&[(2, (host(2), 7000).into())]);
    // Of 2 and 3 the first dials.
    assert_eq!(two.echo(3, 1).await, Ok(1));
    assert_eq!(three.echo(2, 1).await, Ok(1));
}

/// After hello the peer sends this, and loses its link.
fn check_ends(what: &str, bytes: impl Fn() -> Vec<u8>) {
    Universe::simulate(test_seed(), async |world| {
        let two = victim(&world, LinkSettings::default()).await;
        let mut stream = linked(&world).await;
        until("up", || two.links.link(NodeId(1)).is_some()).await;
        stream.write_all(&bytes()).await.unwrap();
        stream.flush().await.unwrap();
        rest(&mut stream).await;
        until(what, || two.links.link(NodeId(1)).is_none()).await;
        still_serves(&world, &two).await;
    });
}

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.encode().unwrap().to_bytes()).collect()
}

#[test]
fn attack_frames_that_must_not_come_end_the_link() {
    check_ends("oversized", || (FRAME_BYTES_MAX as u32).to_be_bytes().to_vec());
    check_ends("the largest number", || vec![0xff; 4]);
    check_ends("too short", || vec![0, 0, 0, 0]);
    check_ends("unknown kind", || vec![0, 0, 0, 3, 99, 0, 0]);
    check_ends("a head beyond its frame", || vec![0, 0, 0, 3, 8, 0, 9]);
    check_ends("a second hello", || bytes_of(&[Frame::Hello(hello(1))]));
    check_ends("an answer", || bytes_of(&[Frame::Reply { id: 1, payload: Bytes::new() }]));
    let error = Error::internal("");
    let failure = Frame::Failure(FailureHead { id: 1, executed: Executed::No, error });
    check_ends("a failure", || bytes_of(std::slice::from_ref(&failure)));
    check_ends("credit", || bytes_of(&[Frame::Credit { ids: vec![1] }]));
    let twice = request(1, &Ask::Hang);
    check_ends("a number twice", || bytes_of(&[twice.clone(), twice.clone()]));
}

#[test]
fn a_frame_of_a_later_version_is_ignored() {
    Universe::simulate(test_seed(), async |world| {
        let two = victim(&world, LinkSettings::default()).await;
        let mut stream = linked(&world).await;
        put(&mut stream, &Frame::Ignored { kind: 200 }).await;
        put(&mut stream, &Frame::Cancel { id: 77 }).await;
        put(&mut stream, &request(1, &Ask::Echo(3))).await;
        let mut front = [0; 8];
        stream.read_exact(&mut front).await.unwrap();
        assert_eq!((front[4], front[7]), (3, 1), "a reply to request 1");
        assert!(two.links.link(NodeId(1)).is_some());
    });
}

#[test]
fn attack_more_requests_than_granted_end_the_link() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        let two = victim(&world, settings).await;
        let mut stream = linked(&world).await;
        let granted = u64::from(settings.windows.data.requests);
        for id in 1..=granted {
            put(&mut stream, &request(id, &Ask::Hang)).await;
        }
        until("all are served", || two.desk.now() == granted as usize).await;
        put(&mut stream, &request(granted + 1, &Ask::Hang)).await;
        rest(&mut stream).await;
        until("all are dropped", || two.desk.now() == 0).await;
        assert_eq!(two.desk.most.load(std::sync::atomic::Ordering::SeqCst), granted as usize);
        still_serves(&world, &two).await;
    });
}

#[test]
fn attack_a_frame_that_never_ends_is_given_up() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        let two = victim(&world, settings).await;
        let stream = linked(&world).await;
        let whole = bytes_of(&[request(1, &Ask::Echo(3))]);
        let env = world.env();
        let begun_at = env.clock.monotonic();
        let (mut read, mut write) = tokio::io::split(stream);
        // One byte a second keeps it from being silent, and does not help it.
        let drip = tokio::spawn(async move {
            for byte in &whole[..whole.len() - 1] {
                if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(secs(1)).await;
            }
        });
        let mut sink = Vec::new();
        let _end = tokio::time::timeout(secs(60), read.read_to_end(&mut sink)).await.unwrap();
        let took = env.clock.monotonic() - begun_at;
        assert!(took <= settings.frame_time + secs(1), "{took:?}");
        drip.abort();
        assert_eq!(two.desk.begun(&Ask::Echo(3)), 0);
        still_serves(&world, &two).await;
    });
}

#[test]
fn attack_connections_that_say_nothing_do_not_keep_others_out() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings { handshakes_max: 8, ..LinkSettings::default() };
        let two = victim(&world, settings).await;
        let mut silent = Vec::new();
        for _ in 0..30 {
            silent.push(raw(&world).await);
        }
        // The places are taken; they come back, whatever the silent ones do.
        let one = start(&world, 1, settings).await;
        one.knows(&[(2, (host(2), 7000).into())]);
        tokio::time::sleep(settings.handshake_time + secs(3)).await;
        assert_eq!(one.echo(2, 1).await, Ok(1));
        for stream in &mut silent {
            assert!(rest(stream).await.is_empty());
        }
        drop(two);
    });
}

#[test]
fn attack_garbage_before_hello_is_refused_early() {
    let large = |kind: u8| {
        let mut bytes = 2000u32.to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend([0; 100]);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("more than a hello", large(1)),
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a request first", bytes_of(&[request(1, &Ask::Echo(3))])),
        ("another cluster", bytes_of(&[Frame::Hello(Hello { cluster_id: 1, ..hello(1) })])),
        ("a stranger", bytes_of(&[Frame::Hello(hello(8))])),
        ("the victim itself", bytes_of(&[Frame::Hello(hello(2))])),
        ("one that must be dialled", bytes_of(&[Frame::Hello(hello(3))])),
        ("of the future", bytes_of(&[Frame::Hello(Hello { schemas: 5..=6, ..hello(1) })])),
    ];
    for (what, bytes) in cases {
        Universe::simulate(test_seed(), async |world| {
            let two = victim(&world, LinkSettings::default()).await;
            let begun_at = world.env().clock.monotonic();
            let mut stream = raw(&world).await;
            stream.write_all(&bytes).await.unwrap();
            let said = rest(&mut stream).await;
            assert!(said.get(4).is_none_or(|kind| *kind == 10), "{what}: more than a goodbye");
            let took = world.env().clock.monotonic() - begun_at;
            assert!(took < Duration::from_millis(100), "{what}: {took:?}");
            assert!(two.links.link(NodeId(1)).is_none() && two.desk.begun.lock().is_empty());
        });
    }
}

#[test]
fn attack_pings_without_reading_are_bounded() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        let two = victim(&world, settings).await;
        let stream = linked(&world).await;
        let (_unread, mut write) = tokio::io::split(stream);
        let pings = bytes_of(&vec![Frame::Ping { nonce: 1 }; 1000]);
        let flood = async {
            while write.write_all(&pings).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // At most one pong waits to be written, and the victim's own ping is not answered.
        tokio::time::timeout(settings.frame_time * 3, flood).await.unwrap();
        still_serves(&world, &two).await;
    });
}
