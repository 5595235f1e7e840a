//! What ends a session although its client would go on, and races between sessions.

use crate::support::{PASSWORD, World, run};
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use contract_directory::{AccountChange, Actor, DirectoryAdmin, Secret};
use service_directory::{DirectoryConfig, DirectoryService};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// Sends pieces with a pause behind each until the server closes; what it said last, and after how
/// many seconds it closed.
async fn drip(world: &World, head: &str, piece: &[u8], pause: Duration) -> (String, u64) {
    let mut client = world.connect();
    let begun = world.env.clock.monotonic();
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(client);
    let piece = piece.to_vec();
    let dripping = tokio::spawn(async move {
        while writer.write_all(&piece).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.unwrap();
    dripping.abort();
    let last = said.lines().last().unwrap_or_default().to_owned();
    (last, (world.env.clock.monotonic() - begun).as_secs())
}

/// A name for which there are too many levels leaves nothing behind.
#[test]
fn create_makes_all_or_nothing() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        let mut name = "d".to_owned();
        client.ok("CREATE d").await;
        // The root is one of the 300 levels.
        for _ in 0..9 {
            name += &"/d".repeat(32);
            client.ok(&format!("CREATE {name}")).await;
        }
        let before = client.ok("LIST \"\" *").await.len();
        for more in ["/d".repeat(11), format!("{}/{}", "/d".repeat(3), "x".repeat(300))] {
            let refused = client.command(&format!("CREATE {name}{more}")).await;
            assert!(refused.line.contains("NO ["), "{}", refused.line);
            let refused = client.command(&format!("RENAME Drafts {name}{more}")).await;
            assert!(refused.line.contains("NO ["), "{}", refused.line);
        }
        assert_eq!(client.ok("LIST \"\" *").await.len(), before);
        client.ok(&format!("CREATE {name}{}", "/d".repeat(10))).await;
        assert_eq!(client.ok("LIST \"\" *").await.len(), before + 10);
    });
}

#[test]
fn attack_16_time_limits_are_counted_from_the_beginning() {
    let check = |head: &str, piece: &'static [u8], pause_s: u64, after_s: u64| {
        let head = head.to_owned();
        run(async move |world: Arc<World>| {
            let (last, took) = drip(&world, &head, piece, Duration::from_secs(pause_s)).await;
            assert!(last.starts_with("* BYE Autologout"), "{head:?}: {last}");
            assert_eq!(took, after_s, "{head:?} {}", piece.escape_ascii());
        });
    };
    // A stranger has a minute, in one command or in many, in a literal or in an exchange.
    check("", b"x", 1, 60);
    check("", b"a NOOP\r\n", 7, 60);
    check("a LOGIN {100}\r\n", b"x", 7, 60);
    check("a AUTHENTICATE PLAIN\r\n", b"x", 7, 60);
    // Somebody who has signed in: two minutes for a command, unless it keeps a pace.
    let login = format!("a LOGIN alice {PASSWORD}\r\n");
    check(&format!("{login}b "), b"x", 7, 120);
    check(&format!("{login}b APPEND INBOX {{1000000}}\r\n"), b"x", 7, 120);
    check(&format!("{login}b SELECT {{1000+}}\r\n"), b"x", 119, 120);
    // Silence is counted from the last command, and in IDLE from its beginning.
    check(&format!("{login}b IDLE\r\n"), b"", 1, 1800);
}

#[test]
fn a_slow_message_that_keeps_its_pace_takes_as_long_as_it_takes() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let line = [&[b'x'; 998][..], b"\r\n"].concat();
        // Twenty minutes at 2,500 bytes a second.
        client.send(b"x APPEND INBOX {3000000+}\r\n").await.unwrap();
        for _ in 0..20 {
            client.send(&line.repeat(150)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        client.send(b"\r\n").await.unwrap();
        assert_eq!(client.end("x").await.status, Status::Ok);
    });
}

async fn change(world: &World, change: AccountChange) {
    let alice = world.account("alice").await;
    world.directory.update_account(&Actor::System, alice, change).await.unwrap();
}

#[test]
fn sessions_end_when_the_account_is_disabled_or_has_another_password() {
    let changes = [
        AccountChange { enabled: Some(false), ..AccountChange::default() },
        AccountChange { password: Some(Secret("another".into())), ..AccountChange::default() },
    ];
    for account_change in changes {
        run(async move |world: Arc<World>| {
            let mut busy = world.select("alice", "INBOX").await;
            let mut sending = world.sign_in("alice").await;
            let mut idle = world.select("alice", "INBOX").await;
            let mut bob = world.select("bob", "INBOX").await;
            idle.begin("IDLE").await;
            idle.line().await.unwrap();
            // What has nothing to do with signing in ends nothing.
            let rename =
                AccountChange { display_name: Some("Alice".into()), ..AccountChange::default() };
            change(&world, rename).await;
            busy.ok("NOOP").await;
            change(&world, account_change).await;
            let begun = world.env.clock.monotonic();
            const BYE: &str = "* BYE Your account has changed, sign in again";
            busy.begin("NOOP").await;
            assert_eq!(busy.line().await.as_deref(), Some(BYE));
            assert_eq!(busy.line().await, None);
            sending.send(b"x APPEND INBOX {1000}\r\n").await.unwrap();
            assert_eq!(sending.line().await.as_deref(), Some(BYE));
            assert_eq!(idle.line().await.as_deref(), Some(BYE));
            let took = world.env.clock.monotonic() - begun;
            assert!(took <= Duration::from_secs(1), "woken, not found out after {took:?}");
            bob.ok("NOOP").await;
        });
    }
}

#[test]
fn a_change_on_another_node_ends_idle_and_one_of_somebody_else_does_not() {
    run(async |world: Arc<World>| {
        let store = Arc::new(world.store.clone());
        let config = DirectoryConfig::default();
        let elsewhere = DirectoryService::start(config, store, world.env.clone());
        let mut idle = world.select("alice", "INBOX").await;
        let mut bob = world.select("bob", "INBOX").await;
        for client in [&mut idle, &mut bob] {
            client.begin("IDLE").await;
            client.line().await.unwrap();
        }
        let begun = world.env.clock.monotonic();
        let disable = AccountChange { enabled: Some(false), ..AccountChange::default() };
        let alice = world.account("alice").await;
        elsewhere.update_account(&Actor::System, alice, disable).await.unwrap();
        assert!(idle.line().await.unwrap().starts_with("* BYE"));
        let took = world.env.clock.monotonic() - begun;
        assert!(took <= Duration::from_secs(1), "woken, not found out after {took:?}");
        bob.send(b"DONE\r\n").await.unwrap();
        assert_eq!(bob.line().await.as_deref(), Some("t3 OK Done"));
    });
}

#[test]
fn what_comes_while_recent_is_claimed_is_recent_too() {
    run(async |world: Arc<World>| {
        let mut reader = world.select("alice", "INBOX").await;
        let mut writer = world.sign_in("alice").await;
        writer.append("INBOX", MESSAGE).await;
        // The reader has seen one message and is about to claim; another comes.
        world.trouble.close_gate("ClaimRecent");
        let tag = reader.begin("NOOP").await;
        world.trouble.somebody_waits().await;
        writer.append("INBOX", MESSAGE).await;
        world.trouble.open_gate();
        let told = reader.end(&tag).await.untagged;
        let count = |name| told.iter().rev().find_map(|response| response.count(name));
        assert_eq!((count("EXISTS"), count("RECENT")), (Some(2), Some(2)));
        let found = reader.ok("SEARCH RECENT").await;
        assert_eq!(found[0].data("SEARCH").unwrap().len(), 2);
    });
}

#[test]
fn a_target_that_was_deleted_a_moment_ago_can_be_made_anew() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        let mut other = world.sign_in("alice").await;
        client.append("INBOX", MESSAGE).await;
        for (name, command) in [
            ("Copy", "COPY 1 Work"),
            ("Copy", "UID COPY 1:* Work"),
            ("Move", "MOVE 1 Work"),
            ("Append", "APPEND Work {5+}\r\na: b\n"),
        ] {
            other.ok("CREATE Work").await;
            world.trouble.close_gate(name);
            let tag = client.begin(command).await;
            world.trouble.somebody_waits().await;
            other.ok("DELETE Work").await;
            world.trouble.open_gate();
            let outcome = client.end(&tag).await;
            assert!(outcome.line.contains("TRYCREATE"), "{command}: {}", outcome.line);
            assert_eq!(client.list().await.len(), 1, "{command}");
        }
    });
}

#[test]
fn nul_is_shown_as_a_byte_that_literals_can_hold() {
    run(async |world: Arc<World>| {
        // APPEND takes none; what came over SMTP may have some.
        let plain: Vec<u8> =
            [b"Subject: \x80\r\n\r\n", &(1..=255).collect::<Vec<u8>>()[..], b"\r\n"].concat();
        let with_nul: Vec<u8> = plain.iter().map(|b| if *b == 7 { 0 } else { *b }).collect();
        let shown: Vec<u8> = plain.iter().map(|b| if *b == 7 { 0x80 } else { *b }).collect();
        world.file("alice", &plain).await;
        world.file("alice", &with_nul).await;
        let mut client = world.select("alice", "INBOX").await;
        let found = client.ok("FETCH 1:2 (RFC822.SIZE BODY.PEEK[])").await;
        let payloads: Vec<Vec<u8>> = found
            .iter()
            .filter_map(ServerResponse::fetch)
            .map(|fetch| fetch.payload("BODY[]").unwrap().to_vec())
            .collect();
        assert_eq!(payloads, [plain, shown]);
    });
}
