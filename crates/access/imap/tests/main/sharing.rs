//! Other people's mailboxes: what is seen of them, what can be done there, and what becomes of
//! sessions whose rights are taken away.

use crate::client::{Client, Outcome};
use crate::support::{World, run};
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use std::sync::Arc;

const INBOX: &str = "\"Other Users/alice@rialto.test/INBOX\"";
const TRASH: &str = "\"Other Users/alice@rialto.test/Deleted Items\"";

/// What the untagged responses are, as text.
fn shown(responses: &[ServerResponse]) -> String {
    responses.iter().map(|response| format!("{response:?}\n")).collect()
}

fn refused(outcome: &Outcome, code: &str) {
    assert_eq!(outcome.status, Status::No, "{}", outcome.line);
    assert!(outcome.line.contains(code), "{}", outcome.line);
}

/// Alice with two messages, and Bob with rights in her Inbox.
async fn shared(world: &World, rights: &str) -> (Client, Client) {
    world.file("alice", b"Subject: one\r\n\r\nfirst\r\n").await;
    world.file("alice", b"Subject: two\r\n\r\nsecond\r\n").await;
    let mut alice = world.sign_in("alice").await;
    alice.ok(&format!("SETACL INBOX bob {rights}")).await;
    let bob = world.sign_in("bob").await;
    (alice, bob)
}

#[test]
fn a_namespace_is_shown_to_who_has_rights_there() {
    run(async |world: Arc<World>| {
        let mut bob = world.sign_in("bob").await;
        assert!(!shown(&bob.ok("NAMESPACE").await).contains("Other Users"));
        assert_eq!(bob.ok("LIST \"\" \"Other Users/*\"").await.len(), 0);
        refused(&bob.command(&format!("SELECT {INBOX}")).await, "NONEXISTENT");
        refused(&bob.command(&format!("STATUS {INBOX} (MESSAGES)")).await, "NONEXISTENT");

        let mut alice = world.sign_in("alice").await;
        alice.ok("SETACL INBOX bob lr").await;
        assert!(shown(&bob.ok("NAMESPACE").await).contains("Other Users/"));
        let list = bob.ok("LIST \"\" \"Other Users/*\" RETURN (MYRIGHTS)").await;
        let text = shown(&list);
        assert_eq!(list.len(), 3, "{text}");
        assert!(text.contains("Other Users/alice@rialto.test/INBOX"), "{text}");
        let top = bob.ok("LIST \"\" \"Other Users/%\"").await;
        assert_eq!(top.len(), 1);
        assert!(shown(&top).contains("Noselect"), "{}", shown(&top));
        let below = bob.ok("LIST \"Other Users/alice@rialto.test/\" %").await;
        assert_eq!(below.len(), 1, "{}", shown(&below));
        // What is one's own is listed alone.
        assert!(!shown(&bob.ok("LIST \"\" *").await).contains("alice"));
        assert_eq!(bob.ok("LIST \"\" \"Other Users/carol@rialto.test/*\"").await.len(), 0);
        // Subscriptions are one's own.
        bob.ok(&format!("SUBSCRIBE {INBOX}")).await;
        assert!(shown(&bob.ok("LSUB \"\" *").await).contains("alice@rialto.test/INBOX"));
        let subscribed = shown(&bob.ok("LIST (SUBSCRIBED) \"\" *").await);
        assert!(subscribed.contains("alice@rialto.test/INBOX"), "{subscribed}");
        assert!(!subscribed.contains("NonExistent"), "{subscribed}");
        assert!(!shown(&alice.ok("LSUB \"\" *").await).contains("Other Users"));
        refused(&bob.command(&format!("SUBSCRIBE {TRASH}")).await, "NONEXISTENT");

        alice.ok("DELETEACL INBOX bob").await;
        assert!(!shown(&bob.ok("NAMESPACE").await).contains("Other Users"));
        assert_eq!(bob.ok("LIST \"\" \"Other Users/*\"").await.len(), 0);
        let subscribed = shown(&bob.ok("LIST (SUBSCRIBED) \"\" *").await);
        assert!(subscribed.contains("NonExistent"), "{subscribed}");
        bob.ok(&format!("UNSUBSCRIBE {INBOX}")).await;
        assert!(!shown(&bob.ok("LSUB \"\" *").await).contains("alice"));
        refused(&bob.command("CREATE \"Other Users/x\"").await, "CANNOT");
        refused(&bob.command("CREATE \"Other Users\"").await, "CANNOT");
    });
}

#[test]
fn who_may_read_reads() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world, "lr").await;
        let status = bob.ok(&format!("STATUS {INBOX} (MESSAGES UNSEEN)")).await;
        assert!(shown(&status).contains('2'), "{}", shown(&status));
        let opened = bob.command(&format!("SELECT {INBOX}")).await;
        assert!(opened.line.contains("READ-ONLY"), "{}", opened.line);
        let fetched = shown(&bob.ok("FETCH 1:* (FLAGS BODY[TEXT])").await);
        assert!(!fetched.contains("Seen"), "{fetched}");
        assert_eq!(bob.ok("UID SEARCH SUBJECT two").await.len(), 1);
        assert_eq!(bob.ok("SORT (REVERSE SUBJECT) UTF-8 ALL").await.len(), 1);
        refused(&bob.command("STORE 1 +FLAGS (\\Seen)").await, "");
        refused(&bob.command(&format!("APPEND {INBOX} {{2+}}\r\na:")).await, "NOPERM");
        refused(&bob.command(&format!("GETACL {INBOX}")).await, "NOPERM");
        refused(&bob.command(&format!("SETACL {INBOX} bob +a")).await, "NOPERM");
        refused(&bob.command(&format!("LISTRIGHTS {INBOX} bob")).await, "NOPERM");
        refused(&bob.command(&format!("DELETE {INBOX}")).await, "NOPERM");
        refused(
            &bob.command(&format!("CREATE {}", INBOX.replace("INBOX", "INBOX/x"))).await,
            "NOPERM",
        );
        // What is the owner's own is left to her: all is recent.
        let opened = shown(&alice.ok("SELECT INBOX").await);
        assert!(opened.contains("RECENT") || opened.contains("Recent"), "{opened}");
        // News of hers reach him.
        bob.begin("IDLE").await;
        assert!(bob.line().await.unwrap().starts_with('+'));
        world.file("alice", b"Subject: three\r\n\r\nx").await;
        assert_eq!(bob.line().await.unwrap(), "* 3 EXISTS");
        assert!(bob.line().await.unwrap().ends_with("RECENT"));
        bob.send(b"DONE\r\n").await.unwrap();
        assert!(bob.line().await.unwrap().contains("OK"));
    });
}

#[test]
fn rights_say_what_can_be_changed() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world, "lrt").await;
        // To delete is not to flag.
        let opened = bob.command(&format!("SELECT {INBOX}")).await;
        assert!(opened.line.contains("READ-WRITE"), "{}", opened.line);
        refused(&bob.command("STORE 1 +FLAGS (\\Flagged)").await, "NOPERM");
        refused(&bob.command("STORE 1 FLAGS (\\Deleted)").await, "NOPERM");
        // Of several flags those that may be set are set.
        bob.ok("STORE 1 +FLAGS (\\Flagged \\Deleted)").await;
        let fetched = shown(&bob.ok("FETCH 1 (FLAGS BODY[TEXT])").await);
        assert!(fetched.contains("Deleted") && !fetched.contains("Flagged"), "{fetched}");
        assert!(!fetched.contains("Seen"), "{fetched}");
        assert_eq!(bob.ok("EXPUNGE").await.len(), 1);
        alice.ok("SETACL INBOX bob lrwi").await;
        bob.ok(&format!("SELECT {INBOX}")).await;
        bob.ok("STORE 1 +FLAGS (\\Flagged \\Deleted $x)").await;
        let fetched = shown(&bob.ok("FETCH 1 (FLAGS BODY[TEXT])").await);
        assert!(fetched.contains("Flagged") && !fetched.contains("Deleted"), "{fetched}");
        assert!(fetched.contains("Seen"), "{fetched}");
        // Nor is anything expunged at the end.
        alice.ok("SELECT INBOX").await;
        alice.ok("STORE 1 +FLAGS (\\Deleted)").await;
        bob.ok("CLOSE").await;
        assert_eq!(alice.list().await.len(), 1);
        assert_eq!(bob.append(INBOX, b"Subject: from bob\r\n\r\n").await.status, Status::Ok);
        alice.ok("NOOP").await;
        assert_eq!(alice.list().await.len(), 2);
    });
}

#[test]
fn sessions_whose_rights_are_taken_away_end() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world, "lr").await;
        bob.ok(&format!("SELECT {INBOX}")).await;
        alice.ok("DELETEACL INBOX bob").await;
        bob.begin("FETCH 1 FLAGS").await;
        let mut last = String::new();
        while let Some(line) = bob.line().await {
            assert!(!line.contains("FETCH"), "{line}");
            last = line;
        }
        assert!(last.starts_with("* BYE [NOPERM]"), "{last}");
        // In IDLE at once.
        alice.ok("SETACL INBOX bob lr").await;
        let mut bob = world.sign_in("bob").await;
        bob.ok(&format!("SELECT {INBOX}")).await;
        bob.begin("IDLE").await;
        bob.line().await.unwrap();
        alice.ok("SETACL INBOX bob -r").await;
        assert!(bob.line().await.unwrap().starts_with("* BYE [NOPERM]"));
    });
}

#[test]
fn full_access_is_everything() {
    run(async |world: Arc<World>| {
        world.full_access("alice", &["bob"]).await;
        let mut bob = world.sign_in("bob").await;
        assert!(shown(&bob.ok("NAMESPACE").await).contains("Other Users/"));
        let list = shown(&bob.ok("LIST \"\" \"Other Users/*\"").await);
        assert!(list.contains("Deleted Items") && list.contains("INBOX"), "{list}");
        assert!(!list.contains("Calendar") && !list.contains("Trash"), "{list}");
        let root = shown(&bob.ok(&format!("GETQUOTAROOT {INBOX}")).await);
        assert!(root.contains("alice@rialto.test"), "{root}");
        bob.ok("GETQUOTA alice@rialto.test").await;
        let work = INBOX.replace("INBOX", "Work/2030");
        bob.ok(&format!("CREATE {work}")).await;
        bob.ok(&format!("RENAME {work} {}", work.replace("2030", "2031"))).await;
        refused(
            &bob.command(&format!("RENAME {} Mine", work.replace("2030", "2031"))).await,
            "CANNOT",
        );
        bob.ok(&format!("SETACL {INBOX} bob l")).await;
        let acl = shown(&bob.ok(&format!("GETACL {INBOX}")).await);
        assert_eq!(acl.matches("lrswikxteacd").count(), 2, "{acl}");
        // A folder of one's own that has the same number is another.
        bob.ok("SELECT Drafts").await;
        let drafts = INBOX.replace("INBOX", "Drafts");
        bob.command(&format!("DELETE {drafts}")).await;
        bob.ok("CHECK").await;
        bob.ok(&format!("DELETE {}", work.replace("2030", "2031"))).await;
        world.full_access("alice", &[]).await;
        bob.ok(&format!("MYRIGHTS {INBOX}")).await;
        refused(&bob.command(&format!("SELECT {}", work)).await, "NONEXISTENT");
    });
}

#[test]
fn messages_go_from_one_mailbox_to_another() {
    run(async |world: Arc<World>| {
        let (mut alice, mut bob) = shared(&world, "lrstei").await;
        bob.ok(&format!("SELECT {INBOX}")).await;
        bob.ok("STORE 2 +FLAGS (\\Flagged $x)").await;
        let copied = bob.command("COPY 1:2 Archive").await;
        assert!(copied.line.contains("COPYUID"), "{}", copied.line);
        assert_eq!(bob.ok("UID COPY 999 Archive").await.len(), 0);
        refused(&bob.command("COPY 1 Nowhere").await, "TRYCREATE");
        refused(&bob.command(&format!("COPY 1 {TRASH}")).await, "TRYCREATE");
        let moved = shown(&bob.ok("MOVE 2 INBOX").await);
        assert!(moved.contains("COPYUID"), "{moved}");
        alice.ok("SELECT INBOX").await;
        assert_eq!(alice.list().await.len(), 1);
        bob.ok("SELECT Archive").await;
        let fetched = shown(&bob.ok("FETCH 2 (FLAGS BODY.PEEK[])").await);
        assert!(fetched.contains("Flagged") && fetched.contains("$x"), "{fetched}");
        assert!(fetched.contains("second"), "{fetched}");
        // And back.
        bob.ok(&format!("MOVE 1:* {INBOX}")).await;
        alice.ok("NOOP").await;
        assert_eq!(alice.list().await.len(), 3);
        // More than one transaction takes.
        bob.ok("SELECT INBOX").await;
        for _ in 0..20 {
            world.file("bob", b"Subject: many\r\n\r\n").await;
        }
        bob.ok("NOOP").await;
        bob.ok(&format!("COPY 1:* {INBOX}")).await;
        alice.ok("NOOP").await;
        assert_eq!(alice.list().await.len(), 24);
        // Nobody puts anything where he may not.
        alice.ok("SETACL INBOX bob lrs").await;
        refused(&bob.command(&format!("COPY 1:* {INBOX}")).await, "NOPERM");
        alice.ok("NOOP").await;
        assert_eq!(alice.list().await.len(), 24);
    });
}
