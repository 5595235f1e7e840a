//! What sessions promise: bytes, sizes, names for ever, removal at QUIT and only there, and several
//! sessions at once.

use crate::support::{World, run};
use base::Uid;
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{SpecialUse, SystemFlags, UidSet};
use std::sync::Arc;
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.dot\r\n..two\r\n.\r\nbody\r\n";

async fn uids(world: &World) -> Vec<u32> {
    world.inbox("alice").await.iter().map(|entry| entry.uid.0).collect()
}

/// A message with lines of all lengths around the size of a chunk, each beginning with a dot.
fn dotted(bytes: usize) -> Vec<u8> {
    let mut message = b"Subject: dots\r\n\r\n".to_vec();
    let mut length = 0;
    while message.len() < bytes {
        message.extend_from_slice(b".");
        message.extend(std::iter::repeat_n(b'.', length % 7));
        message.extend(std::iter::repeat_n(b'a', length % 61));
        message.extend_from_slice(b"\r\n");
        length += 1;
    }
    message
}

#[test]
fn messages_come_byte_for_byte_and_sizes_are_exact() {
    run(async |world: Arc<World>| {
        let large = dotted(3 << 20);
        let unusual: [&[u8]; 6] = [
            MESSAGE,
            &large,
            b"Subject: bare\r\n\r\na\nb\r.c\n.\nd\r\n",
            b"Subject: \xff\xfe\r\n\r\n\x80\xc3\xa4\r\n",
            b"\r\n",
            b".\r\n.\r\n",
        ];
        for message in unusual {
            world.file("alice", message).await;
        }
        let mut client = world.sign_in("alice").await;
        let sizes = client.list("LIST").await;
        let total: usize = unusual.iter().map(|message| message.len()).sum();
        assert_eq!(client.ok("STAT").await, format!("6 {total}"));
        for (number, message) in (1..).zip(unusual) {
            assert_eq!(sizes[number - 1], (number as u32, message.len().to_string()));
            let words = client.ok(&format!("RETR {number}")).await;
            assert_eq!(words, format!("{} octets", message.len()));
            assert_eq!(client.rest().await.unwrap(), message, "{number}");
            let all = client.lines(&format!("TOP {number} 4294967296")).await;
            assert_eq!(all, message, "{number}");
        }
        // What has no end gets one, which belongs to the mark; NUL is shown as IMAP shows it.
        world.file("alice", b"Subject: x\r\n\r\nno\0end").await;
        let mut client = world.sign_in("alice").await;
        assert_eq!(client.ok("LIST 7").await, "7 20");
        assert_eq!(&client.lines("RETR 7").await[..], b"Subject: x\r\n\r\nno\x80end\r\n");
    });
}

#[test]
fn names_stay_for_ever() {
    run(async |world: Arc<World>| {
        for _ in 0..3 {
            world.file("alice", MESSAGE).await;
        }
        let mut client = world.sign_in("alice").await;
        let before = client.list("UIDL").await;
        assert!(before.iter().all(|(_, name)| (1..=70).contains(&name.len())));
        client.ok("DELE 1").await;
        assert_eq!(client.list("UIDL").await, before[1..]);
        client.ok("QUIT").await;
        assert_eq!(client.line().await, None);
        world.file("alice", MESSAGE).await;
        let mut client = world.sign_in("alice").await;
        let after = client.list("UIDL").await;
        let names = |list: &[(u32, String)]| list.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
        assert_eq!(names(&after)[..2], names(&before)[1..]);
        assert!(!names(&before).contains(&after[2].1), "a name is never given again");
        assert_eq!(client.ok("UIDL 2").await, format!("2 {}", after[1].1));
    });
}

#[test]
fn attack_36_what_is_marked_goes_at_quit_and_only_there() {
    run(async |world: Arc<World>| {
        for _ in 0..4 {
            world.file("alice", MESSAGE).await;
        }
        // The line breaks.
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 1").await;
        drop(client);
        // Nothing is said for too long.
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 2").await;
        tokio::time::sleep(Duration::from_secs(601)).await;
        assert_eq!(client.line().await, None, "closed without a word");
        // RSET takes it back.
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 3").await;
        client.ok("RSET").await;
        client.ok("QUIT").await;
        assert_eq!(client.line().await, None);
        assert_eq!(uids(&world).await, [1, 2, 3, 4]);
        // QUIT does it, and what was removed can be recovered.
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 2").await;
        client.ok("DELE 4").await;
        client.ok("QUIT").await;
        assert_eq!(uids(&world).await, [1, 3]);
        let deletions = SpecialUse::Deletions.folder_id();
        let kept = world.mailbox("alice").await.view(deletions).await.unwrap();
        assert_eq!(kept.entries().count(), 2);
    });
}

#[test]
fn attack_36_a_second_session_is_let_in_and_neither_removes_for_the_other() {
    run(async |world: Arc<World>| {
        for _ in 0..4 {
            world.file("alice", MESSAGE).await;
        }
        let mut first = world.sign_in("alice").await;
        let mut second = world.sign_in("alice").await;
        first.ok("DELE 1").await;
        first.ok("DELE 2").await;
        first.ok("QUIT").await;
        // The second one's numbers stay, and what is gone says so.
        assert_eq!(second.list("LIST").await.len(), 4);
        assert!(second.err("RETR 1").await.1.contains("removed"));
        assert_eq!(second.lines("RETR 3").await, MESSAGE);
        second.ok("DELE 2").await;
        second.ok("DELE 3").await;
        second.ok("QUIT").await;
        assert_eq!(uids(&world).await, [4]);
        // What came meanwhile was never touched.
        let mut third = world.sign_in("alice").await;
        world.file("alice", MESSAGE).await;
        third.ok("DELE 1").await;
        assert_eq!(third.ok("STAT").await, "0 0");
        third.ok("QUIT").await;
        assert_eq!(uids(&world).await, [5]);
    });
}

#[test]
fn fetched_messages_count_as_read() {
    run(async |world: Arc<World>| {
        for _ in 0..70 {
            world.file("alice", MESSAGE).await;
        }
        let mailbox = world.mailbox("alice").await;
        let seen = NamedFlags { system: SystemFlags::SEEN, keywords: Vec::new() };
        let inbox = SpecialUse::Inbox.folder_id();
        mailbox.store(inbox, UidSet::single(Uid(1)), StoreMode::Add, seen, None).await.unwrap();
        let mut client = world.sign_in("alice").await;
        world.trouble.requests();
        client.lines("TOP 70 1").await;
        for number in 1..70 {
            client.lines(&format!("RETR {number}")).await;
        }
        client.lines("RETR 5").await;
        let stores = world.trouble.requests().iter().filter(|name| *name == "Store").count();
        assert_eq!(stores, 1, "for 64 at once");
        drop(client);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let inbox = world.inbox("alice").await;
        let unseen: Vec<u32> =
            inbox.iter().filter(|entry| !entry.flags.is_seen()).map(|entry| entry.uid.0).collect();
        assert_eq!(unseen, [70], "TOP is no reading; a broken line undoes none");
    });
}

#[test]
fn many_messages_are_removed_in_steps() {
    run(async |world: Arc<World>| {
        for _ in 0..1_100 {
            world.file("alice", b"Subject: x\r\n\r\n").await;
        }
        let mut client = world.sign_in("alice").await;
        let all: String = (1..=1_100).map(|number| format!("DELE {number}\r\n")).collect();
        // Pipelined: all commands before the first answer is read.
        client.send(all.as_bytes()).await.unwrap();
        for _ in 0..1_100 {
            client.ok("").await;
        }
        world.trouble.requests();
        client.ok("QUIT").await;
        assert_eq!(world.trouble.requests(), ["Store", "Expunge", "Store", "Expunge"]);
        assert!(uids(&world).await.is_empty());
    });
}

#[test]
fn lists_of_any_length_are_sent_in_pieces() {
    run(async |world: Arc<World>| {
        for _ in 0..500 {
            world.file("alice", b"Subject: x\r\n\r\n").await;
        }
        let mut client = world.sign_in("alice").await;
        world.trouble.requests();
        // Pipelined, in one write, with everything that has many lines.
        client.send(b"UIDL\r\nLIST\r\nSTAT\r\nTOP 500 0\r\nNOOP\r\n").await.unwrap();
        assert_eq!(client.list("").await.len(), 500);
        assert_eq!(client.list("").await.len(), 500);
        assert_eq!(client.ok("").await, "500 7000");
        assert_eq!(&client.lines("").await[..], b"Subject: x\r\n\r\n");
        client.ok("").await;
        assert_eq!(world.trouble.requests(), ["Meta"], "lists are the session's own");
    });
}
