//! Attacks by number: connections that drip, commands without end, trees without end.

use crate::client::Client;
use crate::support::{World, run};
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn attack_16_hundreds_that_drip_end_in_time_and_keep_nobody_waiting() {
    run(async |world: Arc<World>| {
        let begun = world.env.clock.monotonic();
        let mut dripping = Vec::new();
        for _ in 0..500 {
            let (mut reader, mut writer) = tokio::io::split(world.connect());
            tokio::spawn(async move {
                while writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                }
            });
            dripping.push(tokio::spawn(async move {
                let mut said = String::new();
                reader.read_to_string(&mut said).await.unwrap();
                said
            }));
        }
        tokio::time::sleep(Duration::from_secs(35)).await;
        let served = world.env.clock.monotonic();
        let mut client = world.select("alice", "INBOX").await;
        assert_eq!(client.append("INBOX", b"Subject: x\r\n\r\n").await.status, Status::Ok);
        let took = world.env.clock.monotonic() - served;
        assert!(took < Duration::from_secs(1), "{took:?}");
        for said in dripping {
            let said = said.await.unwrap();
            assert!(said.lines().last().unwrap().starts_with("* BYE Autologout"), "{said}");
        }
        let took = (world.env.clock.monotonic() - begun).as_secs();
        assert!((60..=61).contains(&took), "{took} s");
    });
}

#[test]
fn attack_17_a_client_that_asks_and_does_not_listen_is_left() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        let many = b"a NOOP\r\n".repeat(1_000);
        let mut sent_bytes = 0;
        while client.send(&many).await.is_ok() {
            sent_bytes += many.len();
            assert!(sent_bytes < 1 << 20, "commands are taken and their answers by nobody");
        }
        let mut other = world.sign_in("alice").await;
        other.ok("NOOP").await;
    });
}

#[test]
fn attack_17_what_is_no_command_ends_a_session() {
    run(async |world: Arc<World>| {
        for (mut client, allowed) in
            [(world.sign_in("alice").await, 50), (Client::new(world.connect()), 3)]
        {
            client.send(&b"a FROB\r\n".repeat(1_000)).await.unwrap();
            let mut lines = Vec::new();
            while let Some(line) = client.line().await {
                lines.push(line);
            }
            let answers = lines.iter().filter(|line| line.starts_with("a BAD")).count();
            assert_eq!(answers, allowed, "{lines:?}");
            assert!(lines.last().unwrap().starts_with("* BYE"), "{lines:?}");
        }
    });
}

/// Makes the tree deeper by 25 levels at a time, as far as it goes.
async fn deepen(client: &mut Client) {
    for levels in (25..1_000).step_by(25) {
        let name = vec!["x"; levels].join("/");
        let outcome = client.command(&format!("CREATE {name}")).await;
        if outcome.status != Status::Ok {
            assert!(outcome.line.contains("LIMIT"), "{levels}: {}", outcome.line);
            return;
        }
    }
    panic!("no end");
}

#[test]
fn attack_28_trees_have_a_bottom() {
    run(async |world: Arc<World>| {
        let mut client = world.sign_in("alice").await;
        let before = client.ok("LIST \"\" *").await.len();
        let thousand = vec!["x"; 1_000].join("/");
        let outcome = client.command(&format!("CREATE {thousand}")).await;
        assert!(outcome.line.contains("LIMIT"), "{}", outcome.line);
        assert_eq!(client.ok("LIST \"\" *").await.len(), before, "nothing half made");
        deepen(&mut client).await;
        // Nothing of the last one was made, though some of it would have fitted.
        assert_eq!(client.ok("LIST \"\" *").await.len() - before, 275);
        // The root is one of the 300; nothing goes below the last.
        let levels = 299;
        client.ok(&format!("CREATE {}", vec!["x"; levels].join("/"))).await;
        let below = vec!["x"; levels + 1].join("/");
        let outcome = client.command(&format!("CREATE {below}")).await;
        assert!(outcome.line.contains("LIMIT"), "{}", outcome.line);
        // Nor is a way around it to put trees together.
        client.ok("CREATE y/y").await;
        let outcome = client.command("RENAME x y/y/x").await;
        assert!(outcome.line.contains("LIMIT"), "{}", outcome.line);
        // What is there can be used, looked for in any way, and removed.
        let deepest = vec!["x"; levels].join("/");
        client.ok(&format!("SELECT {deepest}")).await;
        for pattern in ["%*".repeat(32), "*/x".repeat(16), format!("{}q", "*x".repeat(16))] {
            let found = client.ok(&format!("LIST \"\" {pattern}")).await;
            assert!(found.len() <= before + levels + 2, "{pattern}");
        }
        client.ok("CLOSE").await;
        client.ok(&format!("DELETE {deepest}")).await;
        let lists = client.ok(&format!("LIST \"\" {deepest}")).await;
        assert!(lists.iter().all(|response: &ServerResponse| response.data("LIST").is_none()));
    });
}
