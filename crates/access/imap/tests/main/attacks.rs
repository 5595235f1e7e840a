//! Attacks that need more than a dialogue: large, deep, or cut off.

use crate::client::Client;
use crate::support::{World, run};
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use contract_directory::{AccountChange, Actor, DirectoryAdmin, Quota};
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
        // A second message that is none files the first neither.
        let outcome = observer.command("APPEND INBOX {4+}\r\na:\r\n ( {4+}\r\nb:\r\n").await;
        assert_eq!(outcome.status, Status::Bad, "{}", outcome.line);
        assert!(observer.ok("NOOP").await.is_empty());
    });
}

#[test]
fn attack_30_what_a_cut_off_message_took_is_given_back() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        set_quota(&world, 1_000_000).await;
        let line = [&[b'a'; 998][..], b"\r\n"].concat();
        let head = b"Subject: big\r\n\r\n";
        for _ in 0..3 {
            let mut cut_off = world.sign_in("alice").await;
            cut_off.send(b"x APPEND INBOX {900000+}\r\n").await.unwrap();
            cut_off.send(&[&head[..], &line.repeat(800)].concat()).await.unwrap();
            drop(cut_off);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The quota has room as if nothing had been sent.
        let message = [&head[..], &line.repeat(900)].concat();
        assert_eq!(client.append("INBOX", &message).await.status, Status::Ok);
        world.collect().await;
        let held = world.blob_rows().await;
        assert!((1..30).contains(&held), "the message's own chunks: {held}");
        set_quota(&world, 100_000_000).await;
        // Twenty of forty megabytes: they are in the store, and then nobody's.
        let mut cut_off = world.sign_in("alice").await;
        cut_off.send(b"x APPEND INBOX {41943040+}\r\n").await.unwrap();
        for _ in 0..20_000 {
            cut_off.send(&line).await.unwrap();
        }
        assert!(world.blob_rows().await > held + 100);
        drop(cut_off);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.collect().await;
        assert_eq!(world.blob_rows().await, held);
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

async fn set_quota(world: &World, no_receive_bytes: u64) {
    let quota =
        Quota { warn_bytes: None, no_send_bytes: None, no_receive_bytes: Some(no_receive_bytes) };
    let change = AccountChange { quota: Some(quota), ..AccountChange::default() };
    let alice = world.account("alice").await;
    world.directory.update_account(&Actor::System, alice, change).await.unwrap();
}

#[test]
fn attack_72_a_full_mailbox_refuses_before_the_message_comes() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let message = [b"Subject: x\r\n\r\n", &b"a".repeat(40_000)[..]].concat();
        client.append("INBOX", &message).await;
        set_quota(&world, 60_000).await;
        let outcome = client.command("APPEND INBOX {30000}").await;
        assert!(outcome.line.contains("OVERQUOTA"), "{}", outcome.line);
        // More room counts at once, in sessions that are open too.
        set_quota(&world, 90_000).await;
        assert_eq!(client.append("INBOX", &message).await.status, Status::Ok);
    });
}

/// 256 MB of zeros behind the word `needle `, packed by gzip three times over.
const BOMB: &str = "H4sIAAAAAAACA5Pv5mAAASbmt3c26jUHyhx7eHnSl25OZ+9LIcKzHSN82MwfeOmodXeGtlxV29\
    jRaj2h62bCmyTDsg1KgT+zStjv/7a5PPP/49lz7t+KDM16u/NkRvXKKVl1FZs/fdr2u/Zibm7c2+9cQPMv5MhPvnjyTa\
    GlbcT+vcxAgVnvFl7OvB594N75vz+3FgMFHB7b8v6qv89mJ1/uNxekQir/4Y8Ci9tM95Y/PmUJ5C/4aMYCElfoTgC5OE\
    WQB0g26DQxAqkJrgYgsUMcbCCTxA6COCeUJEBUJERTz6gmyjVVyn6Z/lp3wa9ZfeG7WRkezF987XPY1ddTNv3gtgsvUP\
    D/zcwAAC9BR9pQAgAA";

#[test]
fn attack_38_what_is_packed_stays_packed() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let part = |kind: &str, encoding: &str| {
            let head =
                format!("--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}");
            format!("{head}\r\n\r\n{BOMB}\r\n")
        };
        let message = format!(
            "Subject: packed\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n\r\ncover\r\n{}{}{}--b--\r\n",
            part("application/gzip; name=a.gz", "base64"),
            part("text/plain", "base64"),
            part("text/plain", "x-gzip64"),
        );
        let written = world.store.stats().bytes_committed;
        assert_eq!(client.append("INBOX", message.as_bytes()).await.status, Status::Ok);
        for (key, found) in
            [("BODY cover", 1), ("TEXT packed", 1), ("BODY needle", 0), ("TEXT needle", 0)]
        {
            let answer = client.ok(&format!("SEARCH {key}")).await;
            let numbers = answer.iter().find_map(|response| response.data("SEARCH")).unwrap();
            assert_eq!(numbers.len(), found, "{key}");
        }
        let read = world.read_bytes.load(Ordering::SeqCst);
        let answer = client.ok("FETCH 1 (BODY.PEEK[] BODY.PEEK[2] BODYSTRUCTURE)").await;
        let fetched = answer.iter().find_map(ServerResponse::fetch).unwrap();
        assert_eq!(&fetched.payload("BODY[]").unwrap()[..], message.as_bytes());
        assert_eq!(&fetched.payload("BODY[2]").unwrap()[..], BOMB.as_bytes());
        // Nothing was read or written that is larger than the message by more than its rows.
        let read = world.read_bytes.load(Ordering::SeqCst) - read;
        assert!(read <= 2 * message.len() as u64, "{read} bytes read");
        let written = world.store.stats().bytes_committed - written;
        assert!(written < 16_384, "{written} bytes written");
    });
}

#[test]
fn attack_46_names_of_attachments_stay_within_their_answer() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let long = "A".repeat(10_000);
        let names = [
            "filename=\"..\\\\..\\\\a\"",
            "filename=CON",
            "filename=\"a\\\")) x] y\"",
            "filename=\"=?utf-8?q?a=0D=0A*_BYE_gone=00?=\"",
            "filename*=utf-8''a%0D%0A*%20BYE%20gone%00%E2%80%AEgpj.exe",
            "filename*0*=utf-8''a%0D; filename*1*=%0A*%20BYE",
            "filename=\"caf\u{e9}\u{202e}\"",
            &format!("filename={long}"),
        ];
        for (number, name) in (1..).zip(names) {
            let message = format!(
                "Content-Type: a/b; {}\r\nContent-Disposition: attachment; {name}\r\n\r\nx",
                name.replace("filename", "name"),
            );
            assert_eq!(client.append("INBOX", message.as_bytes()).await.status, Status::Ok);
            let answer = client.ok(&format!("FETCH {number} (BODYSTRUCTURE BODY ENVELOPE)")).await;
            let [answer] = &answer[..] else { panic!("{name}: {answer:?}") };
            let fetched = answer.fetch().unwrap();
            for item in ["BODYSTRUCTURE", "BODY", "ENVELOPE"] {
                assert!(fetched.item(item).is_some(), "{name}: {item}");
            }
        }
    });
}
