#![allow(clippy::unwrap_used)]

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const SOON: Duration = Duration::from_secs(1);

async fn connected(network: &SimNetwork) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let listener = network.at(B).listen("0.0.0.0:25".parse().unwrap()).await.unwrap();
    let client = network.at(A).connect((B, 25).into()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip(), A);
    (client, server)
}

#[tokio::test(start_paused = true)]
async fn hosts_connect_and_end() {
    let network = SimNetwork::default();
    let (mut client, mut server) = connected(&network).await;
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    // The listener is gone, so the port is free and nobody answers there.
    let refused = network.at(A).connect((B, 25).into()).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn ports_are_taken_once_and_loopback_is_ones_own() {
    let network = SimNetwork::default();
    let any = "127.0.0.1:0".parse().unwrap();
    let (one, two) = (network.listen(any).await.unwrap(), network.listen(any).await.unwrap());
    assert_ne!(one.local_address(), two.local_address());
    let taken = network.listen(one.local_address()).await.err().unwrap();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    network.connect(one.local_address()).await.unwrap();
    let elsewhere = network.at(A).connect(one.local_address()).await.err().unwrap();
    assert_eq!(elsewhere.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_partition_stalls_until_it_heals() {
    let network = SimNetwork::default();
    let listener = network.at(B).listen((B, 143).into()).await.unwrap();
    let (mut client, mut server) = connected(&network).await;
    client.write_all(b"1").await.unwrap();
    network.partition(B, A);
    assert!(timeout(SOON, server.read_u8()).await.is_err());
    assert!(timeout(SOON, client.write_all(b"2")).await.is_err());
    let late = network.at(A).connect((B, 143).into()).await.err().unwrap();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);

    let reading = tokio::spawn(async move { (server.read_u8().await, server) });
    let connecting = network.at(A);
    let connecting = tokio::spawn(async move { connecting.connect((B, 143).into()).await });
    tokio::time::sleep(SOON).await;
    network.heal(A, B);
    assert_eq!(reading.await.unwrap().0.unwrap(), b'1');
    connecting.await.unwrap().unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_wakes_both_sides_with_an_error() {
    let network = SimNetwork::default();
    let (mut client, mut server) = connected(&network).await;
    let reading = tokio::spawn(async move { server.read_u8().await });
    tokio::time::sleep(SOON).await;
    network.cut(A, B);
    assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let written = client.write_all(b"x").await.unwrap_err();
    assert_eq!(written.kind(), io::ErrorKind::ConnectionReset);
}
