//! What commands cost in requests to the mailbox: none for each message.

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
        // What the view knows.
        let fast = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)";
        assert_eq!(check(&world, client, fast, &[]).await, MESSAGES);
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
        check(&world, client, "FETCH 1:10 BODY[]", &["MetaPage", "Store"]).await;
        check(&world, client, "FETCH 1:10 BODY[]", &["MetaPage"]).await;
        check(&world, client, "STORE 1:* +FLAGS (\\Flagged)", &["Store"]).await;
        check(&world, client, "STORE 1:* FLAGS.SILENT (\\Deleted)", &["Store"]).await;
        // The mailbox changed; the session asks how once.
        check(&world, client, "EXPUNGE", &["Expunge", "Delta"]).await;
        check(&world, client, "CHECK", &["Delta"]).await;
        check(&world, client, "LIST \"\" *", &["Folders"]).await;
        check(&world, client, "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", &["Folders"]).await;
    });
}
