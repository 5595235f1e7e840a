//! rspamd.

use crate::world::{HEADER, World, at, front, read_until, run, say};
use base::env::Stream;
use contract_transport::scanner::scanning::{Fate, Reply, Scanners};
use contract_transport::scanner::{Language, Scanner};
use futures::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;

/// A whole request: its head, and as much body as that says.
fn is_whole(got: &[u8]) -> bool {
    let text = String::from_utf8_lossy(got).to_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    got.len() >= head.len() + 4 + length
}

/// An rspamd that gives this answer to every message, and keeps the requests.
async fn rspamd(world: &World, status: &str, answer: &str) -> (Scanner, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, length) = (seen.clone(), answer.len());
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}");
    let script = move |mut stream: Box<dyn Stream>| {
        let (kept, answer) = (kept.clone(), answer.clone());
        async move {
            let got = read_until(&mut stream, is_whole).await.unwrap_or_default();
            kept.lock().push(String::from_utf8(got).unwrap());
            say(&mut stream, answer.as_bytes()).await;
        }
        .boxed()
    };
    let (address, _) = world.scanner(Box::new(script)).await;
    (at("spam", Language::Rspamd, address), seen)
}

#[test]
fn the_envelope_and_the_message_are_told() {
    run(async |world| {
        let answer = r#"{"action": "no action", "score": -1.5, "required_score": 15}"#;
        let (scanner, seen) = rspamd(&world, "200 OK", answer).await;
        world.configure(vec![scanner]);
        let mut mail = world.mail("body\r\n");
        mail.facts.user = Some("alice@rialto.test".into());
        let queue = mail.facts.queue;
        let scanned = world.clients.scan(mail).await;
        assert_eq!(scanned.fate, Fate::Accepted);
        let expect = "X-Rialto-Scan: spam; clean; rspamd gave -1.5 of 15.0: no action\r\n";
        assert_eq!(front(&scanned), expect);
        let seen = seen.lock();
        let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /checkv2 HTTP/1.1\r\n"), "{head}");
        for field in [
            "content-length: 88",
            "host: 127.0.0.1",
            "pass: all",
            &format!("queue-id: {queue}"),
            "ip: 192.0.2.7",
            "helo: client.example",
            "from: a@b.example",
            "rcpt: x@rialto.test",
            "rcpt: y@rialto.test",
            "user: alice@rialto.test",
            "mta-name: mail.rialto.test",
        ] {
            assert!(head.lines().any(|line| line == field), "{field} in {head}");
        }
        let front = "Authentication-Results: mail.rialto.test; none\r\n";
        assert_eq!(body, format!("{front}{HEADER}body\r\n"));
    });
}

#[test]
fn what_it_decides_is_done() {
    run(async |world| {
        let reject = r#"{"action": "reject", "score": 15.2, "required_score": 15,
            "symbols": {"GTUBE": {"score": 15.2}}, "messages": {"smtp_message": "Gtube pattern"}}"#;
        let (scanner, _) = rspamd(&world, "200 OK", reject).await;
        world.configure(vec![scanner]);
        let scanned = world.scan().await;
        assert_eq!(scanned.fate, Fate::Refused(Reply::refused("Gtube pattern")));
        assert_eq!(scanned.reason, "spam: rspamd gave 15.2 of 15.0: reject (GTUBE 15.2)");
        let soft = r#"{"action": "soft reject", "messages": {"smtp_message": "Greylisted"}}"#;
        let (scanner, _) = rspamd(&world, "200 OK", soft).await;
        world.configure(vec![scanner]);
        assert_eq!(world.scan().await.fate, Fate::Refused(Reply::later("Greylisted")));
    });
}

#[test]
fn what_it_changes_is_changed_and_seen_by_the_next() {
    run(async |world| {
        let marked = r#"{"action": "rewrite subject", "score": 8, "required_score": 15,
            "subject": "[SPAM] %s",
            "milter": {"add_headers": {"X-Spam": "Yes", "X-Rialto-Origin": "inside"},
                "remove_headers": {"X-Missing": 0}}}"#;
        let (first, _) = rspamd(&world, "200 OK", marked).await;
        let (second, seen) = rspamd(&world, "200 OK", r#"{"action": "no action"}"#).await;
        let second = Scanner { name: "next".into(), ..second };
        world.configure(vec![first, second]);
        let scanned = world.scan().await;
        let note = "rspamd gave 8.0 of 15.0: rewrite subject";
        let expect = format!(
            "X-Rialto-Scan: spam; junk; {note}\r\n\
             X-Rialto-Scan: next; clean; rspamd gave 0.0 of 0.0: no action\r\n\
             X-Rialto-Spam: junk (spam: {note})\r\nX-Spam: Yes\r\n"
        );
        assert_eq!(front(&scanned), expect);
        let header = "From: a@b.example\r\nSubject: [SPAM] hi\r\n\r\n";
        assert_eq!(scanned.header.as_deref(), Some(header.as_bytes()));
        let next = format!("none\r\nX-Spam: Yes\r\n{header}body\r\n");
        assert!(seen.lock()[0].ends_with(&next), "{}", seen.lock()[0]);
    });
}

#[test]
fn what_it_replaces_is_there_once() {
    run(async |world| {
        let replaced = r#"{"action": "no action", "milter": {"add_headers": {"X-Spam": "new"},
            "remove_headers": {"X-Spam": [1, 2]}}}"#;
        let (scanner, _) = rspamd(&world, "200 OK", replaced).await;
        world.configure(vec![scanner]);
        let mut mail = world.mail("body\r\n");
        mail.header = "X-Spam: 1\r\nX-Spam: 2\r\nX-Spam: 3\r\n\r\n".into();
        let scanned = world.clients.scan(mail).await;
        assert!(front(&scanned).ends_with("no action\r\nX-Spam: new\r\n"), "{scanned:?}");
        assert_eq!(scanned.header.as_deref(), Some(&b"X-Spam: 3\r\n\r\n"[..]));
    });
}

#[test]
fn a_server_that_cannot_is_no_verdict() {
    run(async |world| {
        let check = async |status: &str, expect: &str| {
            let (scanner, _) = rspamd(&world, status, "{}").await;
            world.configure(vec![scanner]);
            let scanned = world.scan().await;
            let told = format!("{} {}", scanned.reason, front(&scanned));
            assert!(told.contains(expect), "{status}: {told}");
        };
        check("500 Oops", "it failed: HTTP status 500").await;
        check("403 No", "it failed: HTTP status 403").await;
        check("413 Large", "skipped; the message is too large for it").await;
        check("200 OK", "makes no sense").await;
    });
}

#[test]
fn attack_a_huge_answer_is_not_held() {
    run(async |world| {
        let huge = format!(r#"{{"action": "no action", "symbols": {{"{}"#, "x".repeat(2 << 20));
        let (scanner, _) = rspamd(&world, "200 OK", &huge).await;
        world.configure(vec![scanner]);
        assert!(world.scan().await.reason.contains("makes no sense"));
    });
}
