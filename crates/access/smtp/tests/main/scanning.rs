//! What scanners say of a message, put into effect: what is stored, refused, and gone.

use crate::world::{HOST, World, config, run};
use access_smtp::{Config, Role};
use async_trait::async_trait;
use bytes::Bytes;
use contract_blob::{Place, Segment};
use contract_transport::authentication::{is_junk, junk_field};
use contract_transport::scanner::Scanner;
use contract_transport::scanner::scanning::{
    Fate, Mail, Reply, Scanned, Scanners, Standing, Trial, note, notes,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Says the same of every message, and keeps them.
#[derive(Default)]
struct Said {
    scanned: Mutex<Scanned>,
    seen: Mutex<Vec<Mail>>,
    /// Whether it wants to see what strangers, and what our own people send.
    wants: Mutex<(bool, bool)>,
}

#[async_trait]
impl Scanners for Said {
    fn see(&self, is_ours: bool) -> bool {
        let (strangers, ours) = *self.wants.lock();
        if is_ours { ours } else { strangers }
    }

    async fn scan(&self, mail: Mail) -> Scanned {
        self.seen.lock().push(mail);
        self.scanned.lock().clone()
    }

    fn standing(&self, _name: &str) -> Standing {
        Standing::default()
    }

    async fn test(&self, _scanner: &Scanner) -> Vec<Trial> {
        Vec::new()
    }
}

fn scanners(world: &World, scanned: Scanned) -> Arc<Said> {
    let said = Arc::new(Said::default());
    (*said.scanned.lock(), *said.wants.lock()) = (scanned, (true, true));
    drop(world.service.clone().with_scanners(said.clone()));
    said
}

fn refused(reply: Reply) -> Scanned {
    Scanned { fate: Fate::Refused(reply), reason: "av: X".into(), ..Scanned::default() }
}

fn data(message: &str, reply: &str) -> String {
    let lines: String = message.lines().map(|line| format!("C: {line}\n")).collect();
    format!(
        "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n\
         C: DATA\nS: 354 *\n{lines}C: .\nS: {reply}"
    )
}

const MAIL: &str = "From: a@b.example\nSubject: hi\n\nbody\n";

#[test]
fn what_scanners_add_stands_in_front_and_what_strangers_forged_is_gone() {
    run(config(Role::Server), async |world| {
        let front = format!("{}X-Spam: Yes\r\n", note("spam", "junk", "7 of 15"));
        let front = format!("{front}{}", junk_field("spam: 7 of 15"));
        let said = scanners(&world, Scanned { front: front.clone().into(), ..Scanned::default() });
        let forged = format!("X-Spam: No\nX-Rspamd-Score: -9\n{MAIL}");
        world.talk(Role::Server, &data(&forged, "250 2.6.0 *")).await.unwrap();
        let (taken, text) = world.only();
        assert!(text.starts_with(&format!("{front}Received: ")), "{text}");
        assert!(text.ends_with(&format!("\r\n{}", MAIL.replace('\n', "\r\n"))), "{text}");
        assert_eq!((text.matches("X-Spam").count(), text.matches("X-Rspamd").count()), (1, 0));
        assert!(is_junk(&taken.submission.content));
        assert_eq!(notes(&taken.submission.content), ["spam: junk; 7 of 15"]);
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
        let mail = &said.seen.lock()[0];
        assert_eq!((mail.facts.helo.as_str(), mail.facts.is_ours), ("client.example", false));
        assert_eq!(mail.facts.host_name, HOST);
        assert_eq!(mail.facts.recipients.len(), 1);
        let header = String::from_utf8(mail.header.to_vec()).unwrap();
        assert!(header.starts_with("Received: ") && !header.contains("X-Spam"), "{header}");
        assert_eq!(mail.size_bytes(), (text.len() - front.len()) as u64, "it sees all of it");
    });
}

fn changed(message: &str) {
    run(config(Role::Server), async |world| {
        let header = "From: a@b.example\r\nSubject: [SPAM] hi\r\n\r\n";
        let scanned = Scanned {
            front: note("spam", "clean", "").into(),
            header: Some(Bytes::from_static(header.as_bytes())),
            ..Scanned::default()
        };
        scanners(&world, scanned);
        world.talk(Role::Server, &data(message, "250 2.6.0 *")).await.unwrap();
        let (taken, text) = world.only();
        let body = message.split_once("\n\n").unwrap().1.replace('\n', "\r\n");
        assert!(text == format!("X-Rialto-Scan: spam; clean\r\n{header}{body}"), "{text:.300}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
    });
}

#[test]
fn a_changed_header_takes_the_place_of_the_old_one() {
    changed(MAIL);
    // What is stored in chunks already.
    changed(&format!("{MAIL}{}", "0123456789012345678901234567890123456789\n".repeat(20_000)));
}

/// A row of the queue takes 100,000 bytes, and the header may have 256 KiB.
#[test]
fn attack_what_scanners_make_of_a_header_fits_the_rows_of_the_queue() {
    let line = format!("X-Long: {}\r\n", "x".repeat(900));
    let check = |added: usize, fields: usize, body: &str| {
        run(config(Role::Server), async |world| {
            let own = note("spam", "junk", "7 of 15") + &junk_field("spam: 7 of 15");
            let front = format!("{own}{}", line.repeat(added));
            let header = format!("From: a@b.example\r\n{}Subject: s\r\n\r\n", line.repeat(fields));
            let scanned = Scanned {
                front: front.clone().into(),
                header: (fields > 0).then(|| header.clone().into()),
                ..Scanned::default()
            };
            scanners(&world, scanned);
            let message = format!("{}{body}", MAIL.replace("body\n", ""));
            world.talk(Role::Server, &data(&message, "250 2.6.0 *")).await.unwrap();
            let (taken, text) = world.only();
            let body = body.replace('\n', "\r\n");
            if fields > 0 {
                assert!(text == format!("{front}{header}{body}"), "{added} {fields}");
            } else {
                assert!(text.starts_with(&format!("{front}Received: ")), "{added}");
                assert!(text.ends_with(&format!("Subject: hi\r\n\r\n{body}")), "{added}");
            }
            let content = &taken.submission.content;
            let inline = |segment: &Segment| match segment {
                Segment::Inline(bytes) => bytes.len(),
                Segment::Blob { .. } => 0,
            };
            let inline: usize = content.segments.iter().map(inline).sum();
            assert!(inline < 20_000, "{added} {fields}: {inline} bytes in the row");
            assert!(is_junk(content), "{added} {fields}");
            assert_eq!(notes(content), ["spam: junk; 7 of 15"]);
            assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
        });
    };
    let long = "0123456789012345678901234567890123456789\n".repeat(20_000);
    for body in ["", "body\n", &long] {
        check(0, 60, body);
        check(60, 0, body);
        check(60, 60, body);
    }
    check(1, 1, "body\n");
    check(100, 180, "body\n");
}

/// Says nothing of the first message until it is told to go on.
#[derive(Default)]
struct Slow {
    began: tokio::sync::Notify,
    goes_on: tokio::sync::Notify,
    asked: Mutex<usize>,
}

#[async_trait]
impl Scanners for Slow {
    fn see(&self, _is_ours: bool) -> bool {
        true
    }

    async fn scan(&self, _mail: Mail) -> Scanned {
        let number = std::mem::replace(&mut *self.asked.lock(), 1);
        if number == 0 {
            self.began.notify_one();
            self.goes_on.notified().await;
        }
        Scanned { front: note("av", "clean", "").into(), ..Scanned::default() }
    }

    fn standing(&self, _name: &str) -> Standing {
        Standing::default()
    }

    async fn test(&self, _scanner: &Scanner) -> Vec<Trial> {
        Vec::new()
    }
}

#[test]
fn attack_a_slow_scanner_does_not_hold_the_buffers_of_messages() {
    let config = Config { message_buffers_bytes: 2 << 20, ..config(Role::Server) };
    run(config, async |world| {
        let slow = Arc::new(Slow::default());
        drop(world.service.clone().with_scanners(slow.clone()));
        let long = "0123456789012345678901234567890123456789\n".repeat(40_000);
        let dialogue = data(&format!("{MAIL}{long}"), "250 2.6.0 *");
        let first = world.talk(Role::Server, &dialogue);
        let second = async {
            slow.began.notified().await;
            let second = world.talk(Role::Server, &dialogue).await;
            slow.goes_on.notify_one();
            second
        };
        let (first, second) = tokio::join!(first, second);
        first.unwrap();
        second.unwrap();
        assert_eq!(world.taken().len(), 2);
    });
}

/// Nobody but the scanners looks at it: there are no checks of senders.
#[test]
fn attack_20_strangers_do_not_speak_in_our_name() {
    run(config(Role::Server), async |world| {
        let front = note("av", "clean", "");
        scanners(&world, Scanned { front: front.clone().into(), ..Scanned::default() });
        let forged = format!("X-Rialto-Scan: forged; clean\nx-rialto-origin: inside\n{MAIL}");
        world.talk(Role::Server, &data(&forged, "250 2.6.0 *")).await.unwrap();
        let (taken, text) = world.only();
        assert!(text.starts_with(&front) && !text.contains("forged"), "{text}");
        assert_eq!(text.to_lowercase().matches("x-rialto-").count(), 1, "{text}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
    });
}

#[test]
fn a_refusal_is_told_at_the_end_of_data_and_of_bdat() {
    run(config(Role::Server), async |world| {
        scanners(&world, refused(Reply::refused("the message contains Eicar")));
        let refusal = "550 5.7.1 the message contains Eicar";
        world.talk(Role::Server, &data(MAIL, refusal)).await.unwrap();
        let chunks = format!(
            "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n\
             C: BDAT 8\nC: A: one\nS: 250 *\nC: BDAT 8 LAST\nC: B: two\nS: {refusal}\n\
             C: NOOP\nS: 250 *"
        );
        world.talk(Role::Server, &chunks).await.unwrap();
        assert!(world.taken().is_empty());
        let tracked = world.backend.refusals.lock().clone();
        assert_eq!(tracked, ["alice@rialto.test: 5.7.1 refused by the scanner av: X"; 2]);
    });
}

#[test]
fn whoever_is_to_come_again_is_told_so_and_nothing_is_tracked() {
    run(config(Role::Server), async |world| {
        scanners(&world, refused(Reply::later("try again later")));
        world.talk(Role::Server, &data(MAIL, "451 4.7.1 try again later")).await.unwrap();
        assert!(world.taken().is_empty() && world.backend.refusals.lock().is_empty());
    });
}

#[test]
fn what_is_discarded_is_acknowledged_and_tracked() {
    run(config(Role::Server), async |world| {
        let fate = Fate::Discarded;
        scanners(&world, Scanned { fate, reason: "av: X".into(), ..Scanned::default() });
        world.talk(Role::Server, &data(MAIL, "250 2.6.0 *")).await.unwrap();
        assert!(world.taken().is_empty());
        let tracked = world.backend.refusals.lock().clone();
        assert_eq!(tracked, ["alice@rialto.test: 2.0.0 discarded by the scanner av: X"]);
    });
}

#[test]
fn attack_a_scanner_cannot_make_us_say_nonsense() {
    let check = |code, status, text: &str, expect: &str| {
        let reply = Reply { code, status, text: text.to_owned() };
        run(config(Role::Server), async |world| {
            scanners(&world, refused(reply));
            world.talk(Role::Server, &data(MAIL, expect)).await.unwrap();
            assert!(world.taken().is_empty(), "{expect}");
        });
    };
    check(250, [2, 0, 0], "fine", "451 4.7.1 fine");
    check(550, [4, 7, 1], "x", "451 4.7.1 x");
    check(354, [3, 0, 0], "go on", "451 4.7.1 go on");
    check(554, [5, 7, 1], "a\r\n250 ok", "554 5.7.1 a250 ok");
}

#[test]
fn mail_of_our_own_people_is_seen_too_and_keeps_what_it_says() {
    run(config(Role::Submission), async |world| {
        let front = note("av", "clean", "");
        let said = scanners(&world, Scanned { front: front.clone().into(), ..Scanned::default() });
        let lines = "C: From: alice@rialto.test\nC: X-Spam: mine\nC:\nC: hi\nC: .\nS: 250 *";
        let dialogue = format!(
            "C: MAIL FROM:<alice@rialto.test>\nC: RCPT TO:<bob@rialto.test>\nS* 2 250 *\n\
             C: DATA\nS: 354 *\n{lines}"
        );
        world.talk(Role::Submission, &dialogue).await.unwrap();
        let (taken, text) = world.only();
        assert!(text.starts_with(&front) && text.contains("X-Spam: mine"), "{text}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
        let mail = said.seen.lock()[0].clone();
        assert_eq!(mail.facts.user.as_deref(), Some("alice@rialto.test"));
        assert!(mail.facts.is_ours && mail.facts.tls.is_some());
        // With what we have put into it: a scanner may sign it.
        let header = String::from_utf8(mail.header.to_vec()).unwrap();
        assert!(header.contains("Message-ID: "), "{header}");
        *said.wants.lock() = (true, false);
        world.talk(Role::Submission, &dialogue).await.unwrap();
        assert_eq!(said.seen.lock().len(), 1);
        assert!(!String::from_utf8_lossy(&world.taken()[1].bytes).contains("X-Rialto-Scan"));
    });
}

#[test]
fn scanners_see_odd_messages_as_they_are_stored() {
    run(config(Role::Server), async |world| {
        let front = note("av", "clean", "");
        let said = scanners(&world, Scanned { front: front.clone().into(), ..Scanned::default() });
        let long = format!("A: {}\n\nbody\n", "x".repeat(5_000));
        let odd = ["", "\n\nbody\n", "Subject: no body\n", " begins blank\nB: x\n\nbody\n", &long];
        for (number, message) in odd.into_iter().enumerate() {
            world.talk(Role::Server, &data(message, "250 2.6.0 *")).await.unwrap();
            let (mail, taken) = (said.seen.lock()[number].clone(), &world.taken()[number]);
            let body = match mail.staged.as_ref().map(|staged| &staged.place) {
                Some(Place::Inline(bytes)) => bytes.slice(mail.body_at as usize..),
                None => Bytes::new(),
                other => panic!("{message:?}: {}", other.is_some()),
            };
            let seen = [front.as_bytes(), &mail.header, &body].concat();
            assert_eq!(seen.escape_ascii().to_string(), taken.bytes.escape_ascii().to_string());
            assert_eq!(mail.size_bytes(), (seen.len() - front.len()) as u64, "{message:?}");
            assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes), "{message:?}");
        }
    });
}
