//! Several sessions of one user: what each is told of the others' doings, and when.

use crate::client::Client;
use crate::support::{PASSWORD, World, run, run_with};
use access_imap::Config;
use access_listener::{Listener, ListenerConfig, TlsMode};
use base::Deadline;
use base::env::Env;
use cluster::SingleNode;
use codec_imap::Status;
use codec_imap::client::ServerResponse;
use contract_store::Store;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

fn shown(responses: &[ServerResponse]) -> Vec<String> {
    responses
        .iter()
        .map(|response| match response {
            ServerResponse::Data { number: Some(number), name, .. } if name != "FETCH" => {
                format!("{number} {name}")
            }
            other => match other.fetch() {
                Some(fetch) => format!("{} {:?}", fetch.number, fetch.flags().unwrap_or_default()),
                None => format!("{other:?}"),
            },
        })
        .collect()
}

#[test]
fn idle_tells_what_others_do_while_they_do_it() {
    run(async |world: Arc<World>| {
        let mut idle = world.select("alice", "INBOX").await;
        let tag = idle.begin("IDLE").await;
        assert!(matches!(idle.response().await, Some(ServerResponse::Continuation(_))));
        let mut other = world.select("alice", "INBOX").await;
        let begun = world.env.clock.monotonic();
        other.append("INBOX", MESSAGE).await;
        other.append("INBOX", MESSAGE).await;
        let mut heard = Vec::new();
        while !shown(&heard).contains(&"2 EXISTS".to_owned()) {
            heard.push(idle.response().await.unwrap());
        }
        idle.response().await.unwrap();
        other.ok("STORE 1 +FLAGS (\\Seen)").await;
        let seen = idle.response().await.unwrap();
        assert!(seen.fetch().unwrap().flags().unwrap().contains(&"\\Seen".to_owned()));
        other.ok("STORE 1 +FLAGS (\\Deleted)").await;
        idle.response().await.unwrap();
        other.ok("EXPUNGE").await;
        assert_eq!(shown(&[idle.response().await.unwrap()]), ["1 EXPUNGE"]);
        let took = world.env.clock.monotonic() - begun;
        assert!(took < Duration::from_secs(1), "woken, not found out after {took:?}");
        idle.send(b"DONE\r\n").await.unwrap();
        assert_eq!(idle.end(&tag).await.status, Status::Ok);
    });
}

/// The owner of the mailbox is dead for a while: the client hears of everything, once, and of
/// nothing else.
#[test]
fn idle_outlives_the_owner_of_its_mailbox() {
    run(async |world: Arc<World>| {
        let mut idle = world.select("alice", "INBOX").await;
        let tag = idle.begin("IDLE").await;
        assert!(matches!(idle.response().await, Some(ServerResponse::Continuation(_))));
        for number in 1..=3u32 {
            world.trouble.no_owner.store(true, Ordering::SeqCst);
            world.file("alice", MESSAGE).await;
            let silent = tokio::time::timeout(Duration::from_secs(60), idle.response()).await;
            assert!(silent.is_err(), "{silent:?}");
            let asked = world.trouble.requests().len();
            assert!((5..40).contains(&asked), "asked {asked} times in a minute");
            world.trouble.no_owner.store(false, Ordering::SeqCst);
            let begun = world.env.clock.monotonic();
            let told = [idle.response().await.unwrap(), idle.response().await.unwrap()];
            assert_eq!(shown(&told)[0], format!("{number} EXISTS"));
            let took = world.env.clock.monotonic() - begun;
            assert!(took < Duration::from_secs(8), "{took:?}");
        }
        // One that lasts no longer than a router waits is not even noticed.
        world.trouble.no_owner.store(true, Ordering::SeqCst);
        world.file("alice", MESSAGE).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.trouble.no_owner.store(false, Ordering::SeqCst);
        let begun = world.env.clock.monotonic();
        assert_eq!(shown(&[idle.response().await.unwrap()]), ["4 EXISTS"]);
        assert!(world.env.clock.monotonic() - begun < Duration::from_secs(1));
        idle.response().await.unwrap();
        idle.send(b"DONE\r\n").await.unwrap();
        let end = idle.end(&tag).await;
        assert_eq!((end.status, end.untagged.len()), (Status::Ok, 0), "{:?}", end.untagged);
    });
}

#[test]
fn expunges_wait_until_they_may_be_told() {
    run(async |world: Arc<World>| {
        let mut writer = world.select("alice", "INBOX").await;
        for _ in 0..3 {
            writer.append("INBOX", MESSAGE).await;
        }
        let mut reader = world.select("alice", "INBOX").await;
        writer.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
        writer.ok("EXPUNGE").await;
        // By number: what is there is told, what is gone is said to be gone, no number moves.
        let outcome = reader.command("FETCH 1:3 BODY.PEEK[]").await;
        assert_eq!(outcome.status, Status::No);
        assert!(outcome.line.contains("EXPUNGEISSUED"), "{}", outcome.line);
        let fetched: Vec<_> = outcome.untagged.iter().filter_map(ServerResponse::fetch).collect();
        assert!(fetched.iter().any(|fetch| fetch.number == 3 && fetch.payload("BODY[]").is_some()));
        assert!(!shown(&outcome.untagged).iter().any(|line| line.contains("EXPUNGE")));
        let outcome = reader.command("STORE 1 +FLAGS (\\Seen)").await;
        assert!(outcome.line.contains("EXPUNGEISSUED"), "{}", outcome.line);
        let outcome = reader.command("COPY 1:2 INBOX").await;
        assert!(outcome.line.contains("EXPUNGEISSUED"), "{}", outcome.line);
        assert!(shown(&outcome.untagged).contains(&"2 EXPUNGE".to_owned()));
        assert_eq!(reader.list().await.len(), 1);
        // By UID what is gone never was.
        let outcome = reader.command("UID FETCH 1:* BODY.PEEK[]").await;
        assert_eq!(outcome.status, Status::Ok, "{}", outcome.line);
    });
}

#[test]
fn recent_is_told_to_one_session() {
    run(async |world: Arc<World>| {
        let mut first = world.select("alice", "INBOX").await;
        first.append("INBOX", MESSAGE).await;
        let recent = |responses: &[ServerResponse]| {
            responses.iter().find_map(|response| response.count("RECENT"))
        };
        let mut second = world.sign_in("alice").await;
        assert_eq!(recent(&second.ok("SELECT INBOX").await), Some(0));
        assert_eq!(first.ok("SEARCH RECENT").await[0].data("SEARCH").unwrap().len(), 1);
        // Both have it open; whoever hears of it first has it.
        let mut third = world.sign_in("alice").await;
        third.append("INBOX", MESSAGE).await;
        assert_eq!(recent(&second.ok("NOOP").await), Some(1));
        assert_eq!(recent(&first.ok("NOOP").await), Some(1), "its own from before");
        assert_eq!(first.ok("SEARCH NEW").await[0].data("SEARCH").unwrap().len(), 1);
    });
}

/// All sessions of a node hear of a message at the same moment; one of them claims it.
#[test]
fn a_crowd_in_idle_claims_what_is_recent_once() {
    run(async |world: Arc<World>| {
        let mut crowd = Vec::new();
        for _ in 0..20 {
            let mut idle = world.select("alice", "INBOX").await;
            idle.begin("IDLE").await;
            idle.response().await.unwrap();
            crowd.push(idle);
        }
        for number in 1..=3u32 {
            world.trouble.requests();
            world.file("alice", MESSAGE).await;
            let mut recent = Vec::new();
            for idle in &mut crowd {
                let exists = idle.response().await.unwrap().count("EXISTS");
                assert_eq!(exists, Some(number));
                recent.push(idle.response().await.unwrap().count("RECENT").unwrap());
            }
            assert_eq!(recent.iter().sum::<u32>(), number, "each for one session: {recent:?}");
            let requests = world.trouble.requests();
            let claims = requests.iter().filter(|name| *name == "ClaimRecent").count();
            assert_eq!(claims, 1, "{requests:?}");
        }
    });
}

#[test]
fn a_mailbox_deleted_by_another_ends_the_session() {
    run(async |world: Arc<World>| {
        let mut one = world.sign_in("alice").await;
        one.ok("CREATE Work").await;
        world.trouble.lose_wakeups.store(true, Ordering::SeqCst);
        let mut sessions = Vec::new();
        for command in ["NOOP", "SEARCH ALL", "UID FETCH 1:* FLAGS", "UID FETCH 1:* (FLAGS BODY)"] {
            sessions.push((command, world.select("alice", "Work").await));
        }
        one.ok("DELETE Work").await;
        for (command, mut session) in sessions {
            session.begin(command).await;
            let line = session.line().await.unwrap();
            assert!(line.starts_with("* BYE [NONEXISTENT]"), "{command}: {line}");
            assert_eq!(session.line().await, None);
        }
    });
}

#[test]
fn users_do_not_see_each_other() {
    run(async |world: Arc<World>| {
        let mut alice = world.select("alice", "INBOX").await;
        alice.append("INBOX", MESSAGE).await;
        let mut bob = world.select("bob", "INBOX").await;
        assert!(bob.list().await.is_empty());
    });
}

#[test]
fn attack_32_sessions_of_a_user_are_limited() {
    let config =
        Config { allow_clear_login: true, connections_per_user_max: 2, ..Config::default() };
    run_with(config, async |world: Arc<World>| {
        let one = world.sign_in("alice").await;
        let _two = world.sign_in("alice").await;
        let mut three = Client::new(world.connect());
        three.line().await.unwrap();
        let login = format!("LOGIN alice {PASSWORD}");
        let outcome = three.command(&login).await;
        assert!(
            outcome.line.starts_with("NO") && outcome.line.contains("LIMIT"),
            "{}",
            outcome.line
        );
        let _bob = world.sign_in("bob").await;
        drop(one);
        tokio::time::sleep(Duration::from_secs(1)).await;
        three.ok(&login).await;
    });
}

#[test]
fn without_an_owner_commands_fail_for_the_time_being() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        client.append("INBOX", MESSAGE).await;
        // Another node takes everything over; this one's mailboxes cannot be served any more.
        let store: Arc<dyn Store> = Arc::new(world.store.clone());
        let usurper: Env = world.env.clone();
        let _taken = SingleNode::start(store, &usurper).await.unwrap();
        for text in ["STORE 1 +FLAGS (\\Seen)", "CREATE Work", "STATUS INBOX (MESSAGES)"] {
            let begun = world.env.clock.monotonic();
            let outcome = client.command(text).await;
            assert!(outcome.line.contains("UNAVAILABLE"), "{text}: {}", outcome.line);
            let took = world.env.clock.monotonic() - begun;
            assert!(took < Duration::from_secs(15), "{text} took {took:?}");
        }
        // Nor is shown what may have changed elsewhere (it is not known any more).
        for text in ["FETCH 1 FLAGS", "UID FETCH 1:* UID"] {
            let outcome = client.command(text).await;
            assert!(outcome.line.contains("UNAVAILABLE"), "{text}: {}", outcome.line);
            assert!(outcome.untagged.is_empty(), "{text}: {:?}", outcome.untagged);
        }
    });
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        client.append("INBOX", MESSAGE).await;
        let tags = [
            client.begin("STORE 1 +FLAGS.SILENT (\\Deleted)").await,
            client.begin("EXPUNGE").await,
            client.begin("SEARCH ALL").await,
            client.begin("CLOSE").await,
        ];
        let mut heard = Vec::new();
        for tag in tags {
            let outcome = client.end(&tag).await;
            assert_eq!(outcome.status, Status::Ok, "{}", outcome.line);
            heard.extend(shown(&outcome.untagged));
        }
        assert_eq!(heard[0], "1 EXPUNGE");
        assert!(heard[1].contains("SEARCH"), "{heard:?}");
    });
}

#[test]
fn a_lost_wake_up_costs_a_read_and_never_data() {
    run(async |world: Arc<World>| {
        world.trouble.lose_wakeups.store(true, Ordering::SeqCst);
        let mut deaf = world.select("alice", "INBOX").await;
        let mut other = world.select("alice", "INBOX").await;
        other.append("INBOX", MESSAGE).await;
        assert!(shown(&deaf.ok("NOOP").await).contains(&"1 EXISTS".to_owned()));
        other.append("INBOX", MESSAGE).await;
        assert!(shown(&deaf.ok("SEARCH ALL").await).contains(&"2 EXISTS".to_owned()));
        // What the session does itself it hears of in any case.
        let own = deaf.append("INBOX", MESSAGE).await.untagged;
        assert!(shown(&own).contains(&"3 EXISTS".to_owned()));
        // IDLE asks by itself from time to time.
        deaf.begin("IDLE").await;
        deaf.line().await.unwrap();
        other.ok("STORE 1 +FLAGS (\\Seen)").await;
        let begun = world.env.clock.monotonic();
        assert!(deaf.response().await.unwrap().fetch().is_some());
        assert!(world.env.clock.monotonic() - begun <= Duration::from_secs(60));
    });
}

/// Between nodes a wake-up arrives after the answer to the change: what FETCH shows has to be what
/// was acknowledged before, to whomever, and it is told once.
#[test]
fn fetch_shows_what_others_were_told_though_no_wake_up_came() {
    run(async |world: Arc<World>| {
        let mut other = world.sign_in("alice").await;
        for _ in 0..3 {
            other.append("INBOX", MESSAGE).await;
        }
        other.ok("SELECT INBOX").await;
        world.trouble.lose_wakeups.store(true, Ordering::SeqCst);
        let mut deaf = world.select("alice", "INBOX").await;
        for (store, fetch, expect) in [
            ("STORE 1 +FLAGS (\\Flagged)", "FETCH 1 FLAGS", &["1 [\"\\\\Flagged\"]"][..]),
            ("STORE 1 FLAGS (\\Draft)", "UID FETCH 1 (FLAGS)", &["1 [\"\\\\Draft\"]"]),
            ("STORE 1 FLAGS ()", "FETCH 1 (FLAGS ENVELOPE)", &["1 []"]),
            // Others that changed are told with it.
            (
                "STORE 1:2 FLAGS.SILENT (\\Seen)",
                "UID FETCH 2 (BODY.PEEK[] FLAGS)",
                &["2 [\"\\\\Seen\"]", "1 [\"\\\\Seen\"]"],
            ),
            // What was seen and no longer is becomes seen again.
            ("STORE 2 FLAGS ()", "FETCH 2 BODY[TEXT]", &["2 [\"\\\\Seen\"]"]),
        ] {
            other.ok(store).await;
            assert_eq!(shown(&deaf.ok(fetch).await), expect, "{store}, {fetch}");
        }
        // A keyword is made known before it is shown.
        other.ok("STORE 3 +FLAGS ($New)").await;
        let told = shown(&deaf.ok("FETCH 3 FLAGS").await);
        assert!(told[0].contains("FLAGS") && told[0].contains("$New"), "{told:?}");
        assert_eq!(told[2..], ["3 [\"$New\"]"]);
        // A message that has come, too; numbers hold until EXPUNGE may be told.
        other.append("INBOX", MESSAGE).await;
        assert!(shown(&deaf.ok("UID FETCH 4 FLAGS").await).contains(&"4 EXISTS".to_owned()));
        other.ok("STORE 1 FLAGS (\\Deleted)").await;
        other.ok("EXPUNGE").await;
        let told = shown(&deaf.ok("FETCH 2 FLAGS").await);
        assert_eq!(told, ["2 [\"\\\\Seen\"]"], "and no EXPUNGE");
        assert_eq!(shown(&deaf.ok("NOOP").await), ["1 EXPUNGE"]);
    });
}

/// Where nothing can be changed messages are still shown, new ones too.
#[test]
fn fetch_needs_nothing_to_be_written() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        world.file("alice", MESSAGE).await;
        world.trouble.no_writes.store(true, Ordering::SeqCst);
        let told = shown(&client.ok("FETCH 1:* FLAGS").await);
        assert_eq!(told, ["1 EXISTS", "1 RECENT"]);
        assert_eq!(shown(&client.ok("FETCH 1 FLAGS").await), ["1 [\"\\\\Recent\"]"]);
    });
}

#[test]
fn a_damaged_message_does_not_take_the_others_with_it() {
    run(async |world: Arc<World>| {
        let mut client = world.select("alice", "INBOX").await;
        for _ in 0..7 {
            client.append("INBOX", MESSAGE).await;
        }
        world.trouble.damaged_uid.store(3, Ordering::SeqCst);
        for text in ["FETCH 1:* ENVELOPE", "UID FETCH 1:* (BODY[])"] {
            let outcome = client.command(text).await;
            let expect = "] Message 3 (UID 3) could not be shown: Stored data is damaged";
            assert!(outcome.line.contains("CORRUPTION"), "{}", outcome.line);
            assert!(outcome.line.ends_with(expect), "{}", outcome.line);
            let numbers: Vec<u32> = outcome
                .untagged
                .iter()
                .filter_map(ServerResponse::fetch)
                .map(|fetch| fetch.number)
                .collect();
            assert_eq!(numbers, [1, 2, 4, 5, 6, 7], "{text}");
        }
        // So is one whose bytes are damaged.
        world.trouble.damaged_uid.store(0, Ordering::SeqCst);
        client.ok("STORE 2,4 +FLAGS (\\Deleted)").await;
        client.ok("EXPUNGE").await;
        let chunks = world.rows_of(b"BD").await;
        client.append("INBOX", b"Subject: bad\r\n\r\nother bytes\r\n").await;
        world.damage(&chunks).await;
        let outcome = client.command("FETCH 1:* BODY.PEEK[]").await;
        let expect = "] Message 6 (UID 8) could not be shown: Stored data is damaged";
        assert!(outcome.line.ends_with(expect), "{}", outcome.line);
        assert_eq!(outcome.untagged.iter().filter_map(ServerResponse::fetch).count(), 5);
        client.ok("SEARCH BODY bytes").await;
        client.ok("STORE 6 +FLAGS (\\Deleted)").await;
        client.ok("EXPUNGE").await;
        // Structures that are too large to travel together travel apart.
        world.trouble.metas_max.store(2, Ordering::SeqCst);
        assert_eq!(client.ok("FETCH 1:* ENVELOPE").await.len(), 5);
    });
}

#[test]
fn a_listener_that_drains_says_goodbye_to_idle_sessions() {
    run(async |world: Arc<World>| {
        let address = "127.0.0.1:143".parse().unwrap();
        let config = ListenerConfig::new("imap", address, TlsMode::None);
        let listener =
            Listener::start(config, &world.env, None, world.service.clone()).await.unwrap();
        let mut client = Client::new(world.env.network.connect(address).await.unwrap());
        client.line().await.unwrap();
        client.ok(&format!("LOGIN alice {PASSWORD}")).await;
        client.begin("IDLE").await;
        client.line().await.unwrap();
        let (left, line) =
            tokio::join!(listener.drain(Deadline::after(Duration::from_secs(10))), client.line());
        assert_eq!(line.unwrap(), "* BYE [UNAVAILABLE] Shutting down, come again");
        assert_eq!(left, 0);
    });
}
