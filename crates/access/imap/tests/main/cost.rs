//! What commands cost: in requests to the mailbox, none for each message; in reads of the store,
//! none for what was fetched lately.

use crate::client::Client;
use crate::support::{World, run};
use codec_imap::client::ServerResponse;
use std::sync::Arc;

/// More than one batch of structures.
const MESSAGES: usize = 300;

async fn check(world: &World, client: &mut Client, command: &str, expect: &[&str]) -> usize {
    world.trouble.requests();
    let untagged = client.ok(command).await;
    assert_eq!(world.trouble.requests(), expect, "{command}");
    untagged.iter().filter_map(ServerResponse::fetch).count()
}

#[test]
fn requests_do_not_grow_with_messages() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        for n in 0..MESSAGES {
            client.append("INBOX", format!("Subject: {n}\r\n\r\nbody\r\n").as_bytes()).await;
        }
        let client = &mut client;
        check(&world, client, "SELECT INBOX", &["Folders", "ClaimRecent", "View"]).await;
        // What the view knows, once it is known to be true.
        let fast = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)";
        assert_eq!(check(&world, client, fast, &["Delta"]).await, MESSAGES);
        let both = "FETCH 1:* (FLAGS ENVELOPE)";
        let asked = ["Delta", "MetaPage", "MetaPage"];
        assert_eq!(check(&world, client, both, &asked).await, MESSAGES);
        check(&world, client, "UID FETCH 4000000 ENVELOPE", &["Delta"]).await;
        check(&world, client, "NOOP", &["Delta"]).await;
        check(&world, client, "SEARCH UNSEEN SMALLER 100", &["Delta"]).await;
        check(&world, client, "SEARCH SUBJECT x", &["Delta", "Search"]).await;
        // A question for each 256 structures.
        let envelopes =
            check(&world, client, "FETCH 1:* ENVELOPE", &["MetaPage", "MetaPage"]).await;
        assert_eq!(envelopes, MESSAGES);
        let headers = "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject)]";
        assert_eq!(check(&world, client, headers, &["MetaPage", "MetaPage"]).await, MESSAGES);
        // One change, whose result is known without reading it again.
        check(&world, client, "FETCH 1:10 BODY[]", &["Delta", "MetaPage", "Store"]).await;
        check(&world, client, "FETCH 1:10 BODY[]", &["Delta", "MetaPage"]).await;
        check(&world, client, "STORE 1:* +FLAGS (\\Flagged)", &["Store"]).await;
        check(&world, client, "STORE 1:* FLAGS.SILENT (\\Deleted)", &["Store"]).await;
        // The mailbox changed; the session asks how once.
        check(&world, client, "EXPUNGE", &["Expunge", "Delta"]).await;
        check(&world, client, "CHECK", &["Delta"]).await;
        check(&world, client, "LIST \"\" *", &["Folders"]).await;
        check(&world, client, "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", &["Folders"]).await;
    });
}

/// What was fetched lately is fetched again without asking the store for anything but whether the
/// node still owns the mailbox: once, also where flags are shown and there are two questions, for the
/// news and the structures. They are asked side by side, and one check is made for both.
#[test]
fn a_cached_message_costs_the_fence_check() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        for n in 0..3 {
            client.append("INBOX", format!("Subject: {n}\r\n\r\nbody {n}\r\n").as_bytes()).await;
        }
        client.ok("SELECT INBOX").await;
        let first = world.store.stats();
        client.ok("FETCH 1:3 (ENVELOPE BODY.PEEK[])").await;
        let stored = world.store.stats();
        assert!(stored.rows_read >= first.rows_read + 3 && stored.begun >= first.begun + 5);
        for (command, checks) in [
            ("FETCH 1:3 (FLAGS RFC822.SIZE)", 1),
            ("UID FETCH 1:* UID", 1),
            ("FETCH 2 (ENVELOPE BODYSTRUCTURE)", 1),
            ("FETCH 2 BODY.PEEK[HEADER.FIELDS (Subject)]", 1),
            ("FETCH 1:3 (BODY.PEEK[] BODY.PEEK[TEXT])", 1),
            ("FETCH 3 BODY.PEEK[]<2.5>", 1),
            ("FETCH 2 (FLAGS ENVELOPE BODYSTRUCTURE)", 1),
            ("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER])", 1),
        ] {
            let before = world.store.stats();
            client.ok(command).await;
            let after = world.store.stats();
            assert_eq!(after.begun - before.begun, checks, "{command}");
            assert_eq!(after.point_reads - before.point_reads, checks, "{command}");
            assert_eq!(after.range_reads, before.range_reads, "{command}");
        }
    });
}
