//! Attacks that need more than a dialogue: large, deep, or cut off.

use crate::client::Client;
use crate::support::{PASSWORD, World, run};
use base::Address;
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use contract_directory::{AccountChange, Actor, Directory, DirectoryAdmin, Quota, Resolved};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn attack_22_a_line_without_end() {
    run(async |world: Arc<World>| {
        let mut client = Client::new(world.connect());
        client.line().await.unwrap();
        let megabyte = vec![b'a'; 1 << 20];
        // The server stops reading, says so, and closes.
        let _cut_off = client.send(&megabyte).await;
        let _cut_off = client.send(&megabyte).await;
        let line = client.line().await.unwrap();
        assert_eq!(line, "* BAD Command line too long");
        assert!(client.line().await.unwrap().starts_with("* BYE"));
    });
}

#[test]
fn attack_27_deep_structures_can_be_fetched() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let mut multiparts = Vec::new();
        for level in 0..10_000 {
            let head =
                format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
            multiparts.extend_from_slice(head.as_bytes());
        }
        let messages = b"Content-Type: message/rfc822\r\n\r\n".repeat(1000);
        for message in [multiparts, messages] {
            assert_eq!(client.append("INBOX", &message).await.status, Status::Ok);
        }
        let found = client.ok("FETCH 1:2 (ENVELOPE BODY BODYSTRUCTURE RFC822.SIZE)").await;
        let shown = found.iter().filter_map(ServerResponse::fetch);
        assert_eq!(shown.filter(|fetch| fetch.item("BODYSTRUCTURE").is_some()).count(), 2);
        let path = vec!["1"; 120].join(".");
        client.ok(&format!("FETCH 1:2 BODY.PEEK[{path}]")).await;
    });
}

#[test]
fn attack_30_a_message_cut_off_leaves_nothing() {
    run(async |world: Arc<World>| {
        let mut observer = world.select("alice", "INBOX").await;
        for sent_bytes in [0, 1000, 300_000, 20 << 20] {
            let mut client = world.sign_in("alice").await;
            client.send(b"x APPEND INBOX {41943040+}\r\nSubject: big\r\n\r\n").await.unwrap();
            let line = [&[b'a'; 998][..], b"\r\n"].concat();
            for _ in 0..sent_bytes / line.len() {
                client.send(&line).await.unwrap();
            }
            drop(client);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(observer.ok("NOOP").await.is_empty(), "nothing half-visible");
        }
        let status = observer.ok("STATUS INBOX (MESSAGES UIDNEXT)").await;
        let values = format!("{:?}", status[0].data("STATUS").unwrap());
        assert!(values.contains("Number(0)") && values.contains("Number(1)"), "{values}");
        // A second message in one command is not offered, and does not file the first.
        let outcome = observer.command("APPEND INBOX {4+}\r\na:\r\n {4+}\r\nb:\r\n").await;
        assert_eq!(outcome.status, Status::Bad, "{}", outcome.line);
        assert!(observer.ok("NOOP").await.is_empty());
    });
}

#[test]
fn attack_30_what_cannot_be_filed_is_skipped_and_the_session_goes_on() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        let message = vec![b'a'; 1 << 20];
        let outcome = client.append("Nowhere", &message).await;
        assert!(outcome.line.contains("TRYCREATE"), "{}", outcome.line);
        let outcome = client.append("INBOX", b"with\0nul").await;
        assert_eq!(outcome.status, Status::Bad, "{}", outcome.line);
        let outcome = client.append("INBOX (\\Frob)", &message).await;
        assert!(outcome.line.contains("CANNOT"), "{}", outcome.line);
        client.ok("NOOP").await;
    });
}

#[test]
fn attack_32_garbage_in_idle() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        client.begin("IDLE").await;
        client.line().await.unwrap();
        let megabyte = vec![b'a'; 1 << 20];
        for _ in 0..10 {
            if client.send(&megabyte).await.is_err() {
                break;
            }
        }
        assert!(client.line().await.unwrap().starts_with("* BYE"));
    });
}

#[test]
fn attack_16_a_client_that_does_not_read_is_left() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let line = [&[b'a'; 998][..], b"\r\n"].concat();
        let message = [b"Subject: big\r\n\r\n", &line.repeat(8_000)[..]].concat();
        assert_eq!(client.append("INBOX", &message).await.status, Status::Ok);
        let tag = client.begin("FETCH 1 BODY.PEEK[]").await;
        let outcome = client.end(&tag).await;
        let body = outcome.untagged.iter().filter_map(ServerResponse::fetch).next().unwrap();
        assert_eq!(&body.payload("BODY[]").unwrap()[..], &message[..]);
        // Now it asks and does not read: no more is taken from the store than the pipes hold, the
        // session ends, and others are served meanwhile.
        let before = world.read_bytes.load(Ordering::SeqCst);
        client.begin("FETCH 1 BODY.PEEK[]").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ahead = world.read_bytes.load(Ordering::SeqCst) - before;
        assert!(ahead < 1 << 20, "{ahead} bytes read for a client that takes none");
        let mut other = world.select("alice", "INBOX").await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut bytes = 0;
        while let Some(line) = client.line().await {
            bytes += line.len();
        }
        assert!(bytes < message.len(), "{bytes}");
        drop(other.line().await);
    });
}

#[test]
fn attack_17_thousands_of_cheap_commands() {
    run(async |world: Arc<World>| {
        let mut client = Client::new(world.connect());
        client.line().await.unwrap();
        let many: String = (0..200).map(|n| format!("a{n} NOOP\r\n")).collect();
        client.send(many.as_bytes()).await.unwrap();
        for n in 0..200 {
            assert_eq!(client.line().await.unwrap(), format!("a{n} OK Done"));
        }
        client.ok(&format!("LOGIN alice {PASSWORD}")).await;
    });
}

#[test]
fn attack_72_a_full_mailbox_refuses_before_the_message_comes() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let message = [b"Subject: x\r\n\r\n", &b"a".repeat(40_000)[..]].concat();
        client.append("INBOX", &message).await;
        let alice = world.directory.resolve(&Address::new("alice", "rialto.test")).await.unwrap();
        let Resolved::Account(alice) = alice else { panic!("no alice") };
        let quota = |bytes| AccountChange {
            quota: Some(Quota {
                warn_bytes: None,
                no_send_bytes: None,
                no_receive_bytes: Some(bytes),
            }),
            ..AccountChange::default()
        };
        world.directory.update_account(&Actor::System, alice.id, quota(60_000)).await.unwrap();
        let outcome = client.command("APPEND INBOX {30000}").await;
        assert!(outcome.line.contains("OVERQUOTA"), "{}", outcome.line);
        // More room counts at once, in sessions that are open too.
        world.directory.update_account(&Actor::System, alice.id, quota(90_000)).await.unwrap();
        assert_eq!(client.append("INBOX", &message).await.status, Status::Ok);
    });
}
