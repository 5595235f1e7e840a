//! Attacks that need more than a dialogue.

use crate::client::Client;
use crate::support::{World, run};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn attack_16_time_limits_are_counted_from_the_beginning() {
    let check = |head: &'static str, piece: &'static [u8], pause_s: u64, after_s: u64| {
        run(async move |world: Arc<World>| {
            let mut client = Client::new(world.connect());
            let begun = world.env.clock.monotonic();
            client.send(head.as_bytes()).await.unwrap();
            loop {
                let pause = tokio::time::sleep(Duration::from_secs(pause_s));
                tokio::select! {
                    read = client.fill() => if read == 0 { break },
                    () = pause => {
                        if client.send(piece).await.is_err() {
                            break;
                        }
                    }
                }
            }
            let took = (world.env.clock.monotonic() - begun).as_secs();
            assert!(took.abs_diff(after_s) <= pause_s, "{head:?}: {took} s");
        });
    };
    // A stranger has a minute, in one line or in many, or in an exchange.
    check("", b"x", 1, 60);
    check("", b"CAPA\r\n", 7, 60);
    check("AUTH PLAIN\r\n", b"x", 1, 60);
    // Somebody who has signed in: a minute for a line, ten for silence.
    check("USER alice\r\nPASS secret\r\nSTA", b"x", 1, 60);
    check("USER alice\r\nPASS secret\r\n", b"", 1, 600);
}

#[test]
fn attack_16_a_client_that_does_not_read_is_left() {
    run(async |world: Arc<World>| {
        let line = [&[b'a'; 998][..], b"\r\n"].concat();
        let message = [b"Subject: big\r\n\r\n", &line.repeat(8_000)[..]].concat();
        world.file("alice", &message).await;
        let mut client = world.sign_in("alice").await;
        let before = world.read_bytes.load(Ordering::SeqCst);
        client.send(b"RETR 1\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ahead = world.read_bytes.load(Ordering::SeqCst) - before;
        assert!(ahead < 1 << 20, "{ahead} bytes read for a client that takes none");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(client.rest().await, None, "the session has ended");
    });
}

#[test]
fn attack_22_a_line_without_end_takes_no_memory_and_no_time() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        let megabyte = vec![b'a'; 1 << 20];
        for _ in 0..4 {
            client.send(&megabyte).await.unwrap();
        }
        client.send(b"\r\nNOOP\r\n").await.unwrap();
        client.err("").await;
        client.ok("").await;
        // The same again and again: no answer for each piece, and an end at last.
        let mut said = 0;
        while client.send(b"no command\r\n").await.is_ok() && client.line().await.is_some() {
            said += 1;
            assert!(said <= 50);
        }
        assert_eq!(said, 50);
    });
}
