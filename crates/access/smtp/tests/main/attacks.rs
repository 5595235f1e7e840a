//! The attack cases that a dialogue as text cannot show: large, long, or many.

use crate::world::{World, config, plain, run};
use access_smtp::{Config, Role};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const ENVELOPE: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@rialto.test>\r\n";

/// Sends pieces as fast as they are taken; gives everything the server said until it closed, or
/// until it said `until`.
async fn converse(
    client: DuplexStream,
    pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    until: &str,
) -> String {
    let (mut reader, mut writer) = tokio::io::split(client);
    let writing = tokio::spawn(async move {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
        }
        writer
    });
    let mut said = String::new();
    let mut room = vec![0; 4096];
    while !said.contains(until) {
        match reader.read(&mut room).await {
            Ok(read @ 1..) => said.push_str(&String::from_utf8_lossy(&room[..read])),
            _ => break,
        }
    }
    writing.abort();
    said
}

/// Sends pieces with a pause behind each until the server closes; what it said.
async fn drip(
    client: DuplexStream,
    pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    pause: Duration,
) -> String {
    let (mut reader, mut writer) = tokio::io::split(client);
    let dripping = tokio::spawn(async move {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
    });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.unwrap();
    dripping.abort();
    said
}

/// Sends a message and gives the last line of the server's answer.
async fn verdict(world: &World, message: Vec<u8>) -> String {
    let (client, session) = world.connect();
    let pieces =
        [ENVELOPE.as_bytes().to_vec(), b"DATA\r\n".to_vec(), message, b"QUIT\r\n".to_vec()];
    let said = converse(client, pieces.into_iter(), "\r\n221 ").await;
    session.await.unwrap();
    let lines: Vec<&str> = said.lines().collect();
    let behind = lines.iter().position(|line| line.starts_with("354")).unwrap();
    lines[behind + 1].to_owned()
}

#[test]
fn attack_01_nothing_but_crlf_dot_crlf_ends_a_message() {
    for fake in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\n.\0\r\n"] {
        run(config(Role::Server), async |world| {
            let smuggled = "MAIL FROM:<admin@rialto.test>\r\nRCPT TO:<alice@rialto.test>\r\n\
                DATA\r\nSubject: smuggled\r\n";
            let message = format!("Subject: x\r\n\r\nbody{fake}{smuggled}\r\n.\r\n");
            let said = verdict(&world, message.into_bytes()).await;
            if fake.contains('\0') {
                assert!(said.starts_with("250 2.6.0"), "{said}");
                assert_eq!(world.taken().len(), 1, "one message, the fake end inside");
            } else {
                assert_eq!(said, "550 5.6.0 message contains bare CR or LF", "{fake:?}");
                assert!(world.taken().is_empty());
            }
        });
    }
}

#[test]
fn attack_06_a_lie_about_the_size_is_found_out_and_drained_within_bounds() {
    let config = Config { message_bytes_max: 100_000, ..config(Role::Server) };
    run(config, async |world| {
        let line = [b"x".repeat(998), b"\r\n".to_vec()].concat();
        // A little too large: refused at its end, and the session goes on.
        let said = verdict(&world, [line.repeat(150), b".\r\n".to_vec()].concat()).await;
        assert_eq!(said, "552 5.3.4 message size exceeds limit");
        // A gigabyte, without an end: the session ends long before.
        let (client, session) = world.connect();
        let start = [format!("{ENVELOPE}DATA\r\n").into_bytes()];
        let endless = std::iter::repeat_n(line.repeat(10), 100_000);
        let said = converse(client, start.into_iter().chain(endless), "\r\n552 ").await;
        session.await.unwrap();
        assert!(said.ends_with("552 5.3.4 message size exceeds limit\r\n"), "{said}");
        assert!(world.taken().is_empty());
        // Exactly the limit is not too much.
        let said = verdict(&world, [line.repeat(100), b".\r\n".to_vec()].concat()).await;
        assert!(said.starts_with("250 2.6.0"), "{said}");
    });
}

#[test]
fn attack_07_lines_and_headers_without_an_end() {
    run(config(Role::Server), async |world| {
        let (client, session) = world.connect();
        let pieces = std::iter::repeat_n(vec![b'a'; 1 << 16], 16);
        let said = converse(client, pieces.chain([b"\r\nQUIT\r\n".to_vec()]), "\r\n221 ").await;
        session.await.unwrap();
        let mut lines = said.lines().skip(1);
        assert_eq!(lines.next(), Some("500 5.5.2 line too long"), "once");
        assert!(lines.next().unwrap().starts_with("221"));

        let long = [b"X: ".to_vec(), vec![b'a'; 1 << 20], b"\r\n\r\n.\r\n".to_vec()].concat();
        let said = verdict(&world, long).await;
        assert_eq!(said, "552 5.3.4 message header size exceeds limit");
        // A body line may be as long as it likes.
        let long = [b"Subject: x\r\n\r\n".to_vec(), vec![b'a'; 1 << 20], b"\r\n.\r\n".to_vec()];
        assert!(verdict(&world, long.concat()).await.starts_with("250 2.6.0"));
        // AUTH may have a longer line than other commands, not one of a megabyte (attack 14).
        let (client, session) = world.connect();
        let pieces = [b"AUTH PLAIN ".to_vec(), vec![b'A'; 1 << 20], b"\r\nQUIT\r\n".to_vec()];
        let said = converse(client, pieces.into_iter(), "\r\n221 ").await;
        session.await.unwrap();
        assert!(said.contains("500 5.5.2 line too long"), "{said}");
    });
}

#[test]
fn attack_08_a_hundred_thousand_recipients_and_guessing_names() {
    run(config(Role::Server), async |world| {
        let (client, session) = world.connect();
        let start = [b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n".to_vec()];
        let many = (0..100_000).map(|n| format!("RCPT TO:<bob+{n}@rialto.test>\r\n").into_bytes());
        let pieces = start.into_iter().chain(many).chain([b"QUIT\r\n".to_vec()]);
        let said = converse(client, pieces, "\r\n221 ").await;
        session.await.unwrap();
        assert_eq!(said.matches("250 2.1.5").count(), 1_000);
        // A long list meets 452 for the rest of it; a flood is ended.
        assert_eq!(said.matches("452 4.5.3 too many recipients").count(), 1_104);
        assert!(said.ends_with("421 4.7.0 mail.rialto.test too many errors\r\n"), "{said}");
    });
    let config = Config { tarpit_ms: 5_000, ..config(Role::Server) };
    run(config, async |world| {
        let (client, session) = world.connect();
        let start = [b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n".to_vec()];
        let guesses = (0..1_000).map(|n| format!("RCPT TO:<user{n}@rialto.test>\r\n").into_bytes());
        let said = converse(client, start.into_iter().chain(guesses), "\r\n421 ").await;
        session.await.unwrap();
        // A dozen waits, then a hundred guesses that are free, and four mistakes.
        assert_eq!(said.matches("550 5.1.1").count(), 116);
        assert_eq!(world.env.clock.monotonic().as_secs(), 60);
    });
}

#[test]
fn attack_14_guessing_passwords_is_slow_wherever_the_client_is_but_at_home_if_so_configured() {
    for (spared, peer, slow) in
        [(false, "127.0.0.1:1", true), (true, "127.0.0.1:1", false), (true, "192.0.2.9:1", true)]
    {
        let config =
            Config { tarpit_ms: 5_000, loopback_exempt: spared, ..config(Role::Submission) };
        run(config, async |mut world| {
            world.peer = peer.parse().unwrap();
            let begun = world.env.clock.monotonic();
            let wrong = format!("C: AUTH PLAIN {}\nS: 535 *\n", plain("alice", "wrong"));
            let text = format!(
                "S: 220 *\nC: EHLO c.example\nS? 250 *\nC: STARTTLS\nS: 220 *\n! tls\n\
                 C: EHLO c.example\nS? 250 AUTH PLAIN LOGIN\n{wrong}{wrong}{wrong}S: 421 4.7.0 *\n\
                 ! closed"
            );
            world.play(&text).await.unwrap();
            let took = world.env.clock.monotonic() - begun;
            assert_eq!(took >= Duration::from_secs(15), slow, "{took:?} {spared} {peer}");
        });
    }
}

#[test]
fn attack_15_a_message_that_goes_in_circles_is_stopped() {
    run(config(Role::Server), async |world| {
        let hops = |n: usize| {
            let hop = b"Received: from a by b; Tue, 1 Jan 2030 00:00:00 +0000\r\n";
            [hop.repeat(n), b"Subject: x\r\n\r\n.\r\n".to_vec()].concat()
        };
        assert!(verdict(&world, hops(30)).await.starts_with("250 2.6.0"));
        assert_eq!(verdict(&world, hops(31)).await, "554 5.4.6 too many hops");
        assert_eq!(world.taken().len(), 1);
    });
}

#[test]
fn attack_16_dripping_bytes_do_not_hold_a_session_for_ever() {
    run(config(Role::Server), async |world| {
        let (mut client, session) = world.connect();
        client.write_all(format!("{ENVELOPE}DATA\r\n").as_bytes()).await.unwrap();
        let begun = world.env.clock.monotonic();
        let drops = std::iter::repeat(b"x".to_vec());
        let said = drip(client, drops, Duration::from_secs(10)).await;
        session.await.unwrap();
        assert!(said.ends_with("421 4.4.2 mail.rialto.test timeout\r\n"), "{said}");
        let took = world.env.clock.monotonic() - begun;
        assert!(took < Duration::from_secs(11 * 60), "{took:?}");
    });
}

#[test]
fn attack_16_hundreds_that_drip_end_in_time_and_keep_nobody_waiting() {
    run(config(Role::Server), async |world| {
        let begun = world.env.clock.monotonic();
        let mut dripping = Vec::new();
        for _ in 0..500 {
            let (mut client, session) = world.connect();
            client.write_all(format!("{ENVELOPE}DATA\r\n").as_bytes()).await.unwrap();
            let drops = std::iter::repeat(b"x".to_vec());
            dripping.push(tokio::spawn(async move {
                let said = drip(client, drops, Duration::from_secs(10)).await;
                session.await.unwrap();
                said
            }));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let served = world.env.clock.monotonic();
        let said = verdict(&world, b"Subject: x\r\n\r\n.\r\n".to_vec()).await;
        assert!(said.starts_with("250 2.6.0"), "{said}");
        let took = world.env.clock.monotonic() - served;
        assert!(took < Duration::from_secs(1), "{took:?}");
        for said in dripping {
            let said = said.await.unwrap();
            assert!(said.ends_with("421 4.4.2 mail.rialto.test timeout\r\n"), "{said}");
        }
        let took = (world.env.clock.monotonic() - begun).as_secs();
        assert!((600..=601).contains(&took), "{took} s");
        assert_eq!(world.taken().len(), 1);
    });
}

#[test]
fn attack_30_what_a_cut_off_message_took_is_given_back() {
    // Memory for one message at a time.
    let config = Config { message_buffers_bytes: 2 << 20, ..config(Role::Server) };
    run(config, async |world| {
        let line = [b"x".repeat(998), b"\r\n".to_vec()].concat();
        let before = world.blob_rows().await;
        for begin in ["DATA\r\nSubject: big\r\n\r\n", "BDAT 40000000 LAST\r\n"] {
            for _ in 0..2 {
                let (mut client, session) = world.connect();
                client.write_all(format!("{ENVELOPE}{begin}").as_bytes()).await.unwrap();
                // Twenty of forty megabytes.
                for _ in 0..1_000 {
                    client.write_all(&line.repeat(20)).await.unwrap();
                }
                drop(client);
                session.await.unwrap();
            }
        }
        assert!(world.taken().is_empty(), "nothing half accepted");
        assert!(world.blob_rows().await > before + 100, "it was in the store");
        let large = [line.repeat(2_000), b".\r\n".to_vec()].concat();
        let said = verdict(&world, [b"Subject: x\r\n\r\n".to_vec(), large].concat()).await;
        assert!(said.starts_with("250 2.6.0"), "{said}");
        let taken = world.blob_rows().await;
        world.collect().await;
        let left = world.blob_rows().await;
        assert!((before + 1..100).contains(&left) && left < taken, "{before} {taken} {left}");
        assert_eq!(world.taken().len(), 1);
    });
}

#[test]
fn a_message_of_50_mb_streams_through_two_megabytes_of_buffers() {
    let config = Config { message_buffers_bytes: 2 << 20, ..config(Role::Server) };
    run(config, async |world| {
        let (client, session) = world.connect();
        let line = [b"x".repeat(998), b"\r\n".to_vec()].concat();
        let start = [format!("{ENVELOPE}DATA\r\nSubject: large\r\n\r\n").into_bytes()];
        let body = std::iter::repeat_n(line.repeat(20), 2_500);
        let end = [b".\r\nQUIT\r\n".to_vec()];
        let said = converse(client, start.into_iter().chain(body).chain(end), "\r\n221 ").await;
        session.await.unwrap();
        assert!(said.contains("250 2.6.0"), "{said}");
        let taken = world.taken();
        assert!(taken[0].bytes.len() > 50_000_000);
        assert_eq!(*taken[0].submission.parsed, codec_mime::parse(&taken[0].bytes));
    });
}
