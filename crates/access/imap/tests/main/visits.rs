//! What a client has enabled, in other people's mailboxes: a visit is as one's own mailbox there.

use crate::client::Client;
use crate::support::{World, run};
use std::sync::Arc;

const INBOX: &str = "\"Other Users/alice@rialto.test/INBOX\"";
const SELECT: &str = "SELECT \"Other Users/alice@rialto.test/INBOX\"";

/// The lines that answer a command, to the tagged one, which says OK.
async fn lines(client: &mut Client, text: &str) -> Vec<String> {
    let tag = client.begin(text).await;
    let mut lines = Vec::new();
    loop {
        let line = client.line().await.expect("an answer before the end");
        lines.push(line);
        let last = lines.last().unwrap();
        if let Some(rest) = last.strip_prefix(&format!("{tag} ")) {
            assert!(rest.starts_with("OK"), "{text}: {lines:?}");
            return lines;
        }
    }
}

/// Whether one of the lines begins and ends so.
fn told(lines: &[String], begin: &str, end: &str) {
    let found = lines.iter().any(|line| line.starts_with(begin) && line.ends_with(end));
    assert!(found, "{begin} … {end}: {lines:#?}");
}

fn untold(lines: &[String], text: &str) {
    assert!(lines.iter().all(|line| !line.contains(text)), "{text}: {lines:#?}");
}

/// The number behind a word.
fn number(lines: &[String], word: &str) -> u64 {
    let behind = lines.iter().find_map(|line| line.split(word).nth(1)).unwrap();
    let digits: String = behind.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Alice with three messages in her Inbox, which is open, and Bob, who may do everything in it.
async fn shared(world: &World) -> (Client, Client) {
    for subject in ["one", "two", "three"] {
        world.file("alice", format!("Subject: {subject}\r\n\r\nx\r\n").as_bytes()).await;
    }
    let mut alice = world.select("alice", "INBOX").await;
    alice.ok("SETACL INBOX bob lrswited").await;
    (alice, world.sign_in("bob").await)
}

#[test]
fn what_is_enabled_holds_in_a_visit() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world).await;
        bob.ok("ENABLE QRESYNC").await;
        let opened = lines(&mut bob, SELECT).await;
        let validity = number(&opened, "[UIDVALIDITY");
        let stored = lines(&mut bob, "STORE 1 +FLAGS.SILENT (\\Flagged)").await;
        told(&stored, "* 1 FETCH (UID 1 MODSEQ (", "))");
        let before = number(&stored, "MODSEQ (");
        alice.ok("STORE 2 +FLAGS (\\Deleted)").await;
        alice.ok("EXPUNGE").await;
        alice.ok("UID STORE 3 +FLAGS (\\Answered)").await;
        let news = lines(&mut bob, "NOOP").await;
        told(&news, "* VANISHED 2", "");
        told(&news, "* 2 FETCH (UID 3 FLAGS (\\Answered", "))");
        bob.ok("UNSELECT").await;
        let again = lines(&mut bob, &format!("{SELECT} (QRESYNC ({validity} {before}))")).await;
        told(&again, "* VANISHED (EARLIER) 2", "");
        told(&again, "* 2 FETCH (UID 3 FLAGS (\\Answered", "))");
        untold(&again, "UID 1 ");
        let changed = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)");
        let changed = lines(&mut bob, &changed).await;
        told(&changed, "* VANISHED (EARLIER) 2", "");
        told(&changed, "* 2 FETCH (UID 3 FLAGS (\\Answered", "))");
        // What was moved away is known to whom goes by modification sequences.
        let moved = lines(&mut bob, "UID MOVE 3 INBOX").await;
        told(&moved, "* VANISHED 3", "");
        assert!(moved.last().unwrap().contains("[HIGHESTMODSEQ "), "{moved:?}");
        // A new visit to another folder begins with all of it.
        let status = lines(&mut bob, &format!("STATUS {INBOX} (HIGHESTMODSEQ)")).await;
        assert!(number(&status, "(HIGHESTMODSEQ") > before);
    });
}

#[test]
fn what_is_enabled_during_a_visit_holds_at_once_and_stays() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world).await;
        bob.ok(SELECT).await;
        let enabled = lines(&mut bob, "ENABLE CONDSTORE").await;
        told(&enabled, "* OK [HIGHESTMODSEQ ", "");
        alice.ok("STORE 1 +FLAGS (\\Seen)").await;
        told(&lines(&mut bob, "NOOP").await, "* 1 FETCH (FLAGS (\\Seen", "))");
        bob.ok("ENABLE QRESYNC").await;
        alice.ok("STORE 1 +FLAGS (\\Deleted)").await;
        alice.ok("EXPUNGE").await;
        told(&lines(&mut bob, "NOOP").await, "* VANISHED 1", "");
        // The next folder, his own, knows it too.
        bob.ok("SELECT INBOX").await;
        bob.append("INBOX", b"Subject: x\r\n\r\n").await;
        bob.ok("STORE 1 +FLAGS (\\Deleted)").await;
        told(&lines(&mut bob, "EXPUNGE").await, "* VANISHED 1", "");
    });
}

#[test]
fn a_visit_in_imap4rev2() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world).await;
        bob.ok("ENABLE IMAP4rev2").await;
        let opened = lines(&mut bob, SELECT).await;
        told(&opened, "* LIST (", &format!(" \"/\" {INBOX}"));
        untold(&opened, "RECENT");
        untold(&opened, "Recent");
        untold(&lines(&mut bob, "FETCH 1:* FLAGS").await, "Recent");
        world.file("alice", b"Subject: four\r\n\r\nx\r\n").await;
        let news = lines(&mut bob, "NOOP").await;
        told(&news, "* 4 EXISTS", "");
        untold(&news, "RECENT");
        // Names are shown as they are, also where rights and quotas are told.
        alice.ok("CREATE INBOX/Entw&APw-rfe").await;
        alice.ok("SETACL INBOX/Entw&APw-rfe bob lra").await;
        let name = "\"Other Users/alice@rialto.test/INBOX/Entw\u{fc}rfe\"";
        told(&lines(&mut bob, &format!("MYRIGHTS {name}")).await, "* MYRIGHTS ", "");
        for command in ["MYRIGHTS", "GETACL", "LISTRIGHTS"] {
            let who = if command == "LISTRIGHTS" { " bob" } else { "" };
            let told_lines = lines(&mut bob, &format!("{command} {name}{who}")).await;
            assert!(told_lines[0].contains(name), "{told_lines:?}");
        }
        let listed = lines(&mut bob, "LIST \"\" \"Other Users/*\" RETURN (MYRIGHTS)").await;
        told(&listed, &format!("* MYRIGHTS {name} "), "");
    });
}

#[test]
fn list_tells_the_status_of_what_may_be_read() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world).await;
        alice.ok("SETACL Drafts bob l").await;
        let list = "LIST \"\" \"Other Users/*\" RETURN (STATUS (MESSAGES SIZE))";
        let listed = lines(&mut bob, list).await;
        told(&listed, "* LIST (", " \"Other Users/alice@rialto.test/Drafts\"");
        told(&listed, &format!("* STATUS {INBOX} (MESSAGES 3 SIZE "), ")");
        assert_eq!(listed.iter().filter(|line| line.starts_with("* STATUS")).count(), 1);
        // His own as ever.
        let own = lines(&mut bob, "LIST \"\" * RETURN (STATUS (MESSAGES))").await;
        told(&own, "* STATUS INBOX (MESSAGES 0)", "");
        untold(&own, "Other Users");
    });
}

#[test]
fn several_messages_at_once_and_their_order() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world).await;
        let several = format!("APPEND {INBOX} (\\Seen) {{4+}}\r\na:b\n {{4+}}\r\nc:d\n");
        let appended = lines(&mut bob, &several).await;
        assert!(appended.last().unwrap().contains(" 4:5] "), "{appended:?}");
        alice.ok("NOOP").await;
        assert_eq!(alice.list().await.len(), 5);
        bob.ok(SELECT).await;
        let sorted = lines(&mut bob, "SORT (ARRIVAL) UTF-8 MODSEQ 1").await;
        told(&sorted, "* SORT 1 2 3 4 5 (MODSEQ ", ")");
        let newest = number(&sorted, "(MODSEQ");
        alice.ok("STORE 2 +FLAGS (\\Seen)").await;
        let text = format!("UID SORT (ARRIVAL) UTF-8 MODSEQ {}", newest + 1);
        told(&lines(&mut bob, &text).await, "* SORT 2 (MODSEQ ", ")");
        let text = format!("UID THREAD REFERENCES UTF-8 MODSEQ {}", newest + 1);
        told(&lines(&mut bob, &text).await, "* THREAD (2)", "");
        told(&lines(&mut bob, "SORT (ARRIVAL) UTF-8 MODSEQ 99999999").await, "* SORT", "SORT");
    });
}
