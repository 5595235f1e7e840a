//! What fails, and what the client is told: mailboxes without an owner, lost answers, damaged or
//! missing bytes, accounts that change.

use crate::client::Client;
use crate::support::{PASSWORD, World, run, run_with};
use access_pop3::Config;
use codec_pop3::Code;
use contract_directory::{AccountChange, Actor, DirectoryAdmin, Secret};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

#[test]
fn without_an_owner_everything_is_temporary() {
    run(async |world: Arc<World>| {
        world.file("alice", MESSAGE).await;
        let mut client = world.sign_in("alice").await;
        world.trouble.no_owner.store(true, Ordering::SeqCst);
        assert_eq!(client.err("RETR 1").await.0, Some(Code::SysTemp));
        assert_eq!(client.ok("STAT").await, format!("1 {}", MESSAGE.len()));
        let mut other = Client::new(world.connect());
        other.ok("").await;
        other.ok("USER alice").await;
        assert_eq!(other.err(&format!("PASS {PASSWORD}")).await.0, Some(Code::SysTemp));
        world.trouble.no_owner.store(false, Ordering::SeqCst);
        // The session is still the same.
        assert_eq!(client.lines("RETR 1").await, MESSAGE);
        other.ok("USER alice").await;
        other.ok(&format!("PASS {PASSWORD}")).await;
    });
}

#[test]
fn an_answer_that_was_lost_removes_once_and_is_given_again() {
    run(async |world: Arc<World>| {
        for _ in 0..3 {
            world.file("alice", MESSAGE).await;
        }
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 2").await;
        world.trouble.answers_lost.store(1, Ordering::SeqCst);
        client.ok("QUIT").await;
        let left: Vec<u32> = world.inbox("alice").await.iter().map(|entry| entry.uid.0).collect();
        assert_eq!(left, [1, 3]);
    });
}

#[test]
fn what_could_not_be_removed_is_told() {
    run(async |world: Arc<World>| {
        for _ in 0..1_003 {
            world.file("alice", b"Subject: x\r\n\r\n").await;
        }
        let mut client = world.sign_in("alice").await;
        for number in 1..=1_002 {
            client.ok(&format!("DELE {number}")).await;
        }
        // The first step goes well.
        *world.trouble.writes_left.lock() = Some(2);
        let (code, words) = client.err("QUIT").await;
        assert_eq!(code, Some(Code::SysTemp));
        assert_eq!(words, "2 of 1002 messages were not removed");
        assert_eq!(client.line().await, None);
        *world.trouble.writes_left.lock() = None;
        let mut client = world.sign_in("alice").await;
        assert_eq!(client.ok("STAT").await, "3 42");
    });
}

#[test]
fn half_a_message_is_never_a_whole_one() {
    run(async |world: Arc<World>| {
        let large = [b"Subject: x\r\n\r\n", &b"0123456789abcdef\r\n".repeat(200_000)[..]].concat();
        world.file("alice", &large).await;
        let mut client = world.sign_in("alice").await;
        // The first chunk cannot be read: an error in words, and the session goes on.
        let read = world.read_bytes.load(Ordering::SeqCst);
        world.fails_from.store(read + 1, Ordering::SeqCst);
        assert_eq!(client.err("RETR 1").await.0, Some(Code::SysTemp));
        // One in the middle: the connection ends without the mark.
        let read = world.read_bytes.load(Ordering::SeqCst);
        world.fails_from.store(read + 1_000_000, Ordering::SeqCst);
        client.ok("RETR 1").await;
        assert_eq!(client.rest().await, None);
        world.fails_from.store(0, Ordering::SeqCst);
        let mut client = world.sign_in("alice").await;
        assert_eq!(client.lines("RETR 1").await, large);
    });
}

#[test]
fn top_reads_what_it_shows() {
    run(async |world: Arc<World>| {
        let large = [b"Subject: x\r\n\r\n", &b"0123456789abcdef\r\n".repeat(600_000)[..]].concat();
        world.file("alice", &large).await;
        let mut client = world.sign_in("alice").await;
        let before = world.read_bytes.load(Ordering::SeqCst);
        assert_eq!(client.lines("TOP 1 1").await, &large[..32]);
        let read = world.read_bytes.load(Ordering::SeqCst) - before;
        assert!(read < 2 << 20, "{read} bytes for two lines");
    });
}

#[test]
fn a_session_ends_when_its_account_changes() {
    run(async |world: Arc<World>| {
        world.file("alice", MESSAGE).await;
        let mut client = world.sign_in("alice").await;
        client.ok("DELE 1").await;
        let change =
            AccountChange { password: Some(Secret("other".into())), ..AccountChange::default() };
        let alice = world.account("alice").await;
        world.directory.update_account(&Actor::System, alice, change).await.unwrap();
        let (code, _) = client.err("QUIT").await;
        assert_eq!(code, Some(Code::Auth));
        assert_eq!(client.line().await, None);
        assert_eq!(world.inbox("alice").await.len(), 1, "nothing is removed");
    });
}

#[test]
fn attack_32_sessions_of_a_user_are_bounded() {
    let config =
        Config { allow_clear_login: true, connections_per_user_max: 2, ..Config::default() };
    run_with(config, async |world: Arc<World>| {
        let first = world.sign_in("alice").await;
        let _second = world.sign_in("alice").await;
        let mut third = Client::new(world.connect());
        third.ok("").await;
        third.ok("USER alice").await;
        assert_eq!(third.err(&format!("PASS {PASSWORD}")).await.0, Some(Code::InUse));
        world.sign_in("bob").await;
        drop(first);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        third.ok("USER alice").await;
        third.ok(&format!("PASS {PASSWORD}")).await;
    });
}
