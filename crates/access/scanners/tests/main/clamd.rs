//! clamd.

use crate::world::{HEADER, World, at, front, read_until, run, say};
use base::env::Stream;
use bytes::Bytes;
use contract_blob::Place;
use contract_transport::authentication::junk_field;
use contract_transport::scanner::scanning::{Fate, Reply, Scanners};
use contract_transport::scanner::{Language, OnFound, Scanner, Sees};
use futures::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;

/// What has come, without its frames, once all of it has.
fn unframed(got: &[u8]) -> Option<Vec<u8>> {
    let mut rest = got.strip_prefix(b"zINSTREAM\0")?;
    let mut message = Vec::new();
    loop {
        let (length, tail) = rest.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if length == 0 {
            return Some(message);
        }
        let (piece, tail) = tail.split_at_checked(length)?;
        assert!(length <= 64 * 1024, "{length}");
        message.extend_from_slice(piece);
        rest = tail;
    }
}

/// A clamd that says this of every message, and keeps them.
async fn clamd(world: &World, answer: &'static str) -> (Scanner, Arc<Mutex<Vec<Vec<u8>>>>) {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = seen.clone();
    let (address, _) = world
        .scanner(Box::new(move |mut stream: Box<dyn Stream>| {
            let kept = kept.clone();
            async move {
                let got = read_until(&mut stream, |got| unframed(got).is_some()).await;
                kept.lock().extend(got.as_deref().and_then(unframed));
                say(&mut stream, answer.as_bytes()).await;
            }
            .boxed()
        }))
        .await;
    (at("av", Language::Clamd, address), seen)
}

#[test]
fn a_clean_message_passes_and_clamd_has_seen_all_of_it() {
    run(async |world| {
        let (scanner, seen) = clamd(&world, "stream: OK\0").await;
        world.configure(vec![scanner]);
        let scanned = world.scan().await;
        assert_eq!(scanned.fate, Fate::Accepted);
        assert_eq!(
            (front(&scanned).as_str(), scanned.header),
            ("X-Rialto-Scan: av; clean\r\n", None)
        );
        let expect = format!("Authentication-Results: mail.rialto.test; none\r\n{HEADER}body\r\n");
        assert_eq!(String::from_utf8(seen.lock()[0].clone()).unwrap(), expect);
    });
}

#[test]
fn what_is_found_is_refused_discarded_or_junk() {
    run(async |world| {
        let (scanner, _) = clamd(&world, "stream: Eicar-Signature FOUND\0").await;
        let found = |on_found| Scanner { on_found, ..scanner.clone() };
        world.configure(vec![found(OnFound::Refuse)]);
        let scanned = world.scan().await;
        let refused = Reply::refused("the message contains Eicar-Signature");
        assert_eq!(scanned.fate, Fate::Refused(refused));
        assert_eq!(scanned.reason, "av: clamd found Eicar-Signature");
        world.configure(vec![found(OnFound::Discard)]);
        assert_eq!(world.scan().await.fate, Fate::Discarded);
        world.configure(vec![found(OnFound::Junk)]);
        let scanned = world.scan().await;
        assert_eq!(scanned.fate, Fate::Accepted);
        let note = "X-Rialto-Scan: av; junk; clamd found Eicar-Signature\r\n";
        let expect = format!("{note}{}", junk_field("av: clamd found Eicar-Signature"));
        assert_eq!(front(&scanned), expect);
    });
}

#[test]
fn a_large_message_is_streamed_from_where_it_is_stored() {
    run(async |world| {
        let (scanner, seen) = clamd(&world, "stream: OK\0").await;
        world.configure(vec![scanner]);
        let body: Vec<u8> = (0..1_500_000_u32).map(|number| (number / 7) as u8).collect();
        let mut upload = world.blobs.upload();
        upload.write(HEADER.into()).await.unwrap();
        upload.write(Bytes::from(body.clone())).await.unwrap();
        let staged = upload.finish().await.unwrap();
        assert!(matches!(staged.place, Place::Uploaded { .. }));
        let mut mail = world.mail("");
        (mail.staged, mail.body_at) = (Some(staged), HEADER.len() as u64);
        assert_eq!(world.clients.scan(mail).await.fate, Fate::Accepted);
        assert!(seen.lock()[0].ends_with(&body));
        assert_eq!(seen.lock()[0].len(), 48 + HEADER.len() + body.len());
    });
}

#[test]
fn what_is_too_large_goes_past_it_and_says_so() {
    run(async |world| {
        let note = "X-Rialto-Scan: av; skipped; the message is too large for it\r\n";
        let (scanner, seen) = clamd(&world, "INSTREAM size limit exceeded. ERROR\0").await;
        world.configure(vec![scanner.clone()]);
        assert_eq!(front(&world.scan().await), note);
        world.configure(vec![Scanner { size_bytes_max: 80, ..scanner }]);
        assert_eq!(front(&world.scan().await), note);
        assert_eq!(seen.lock().len(), 1, "our own limit is ours to keep");
        assert_eq!(world.clients.standing("av").failed, 0);
    });
}

#[test]
fn each_sees_its_mail_in_its_order_until_one_decides() {
    run(async |world| {
        let (clean, first) = clamd(&world, "stream: OK\0").await;
        let (found, second) = clamd(&world, "stream: X FOUND\0").await;
        let (third, never) = clamd(&world, "stream: OK\0").await;
        let named = |name: &str, sees, one: Scanner| Scanner { name: name.into(), sees, ..one };
        world.configure(vec![
            named("a", Sees::All, clean),
            named("b", Sees::Ours, found),
            named("c", Sees::Strangers, third),
        ]);
        let scanned = world.scan().await;
        let expect = "X-Rialto-Scan: a; clean\r\nX-Rialto-Scan: c; clean\r\n";
        assert_eq!(front(&scanned), expect);
        let mut ours = world.mail("body\r\n");
        ours.facts.is_ours = true;
        assert!(matches!(world.clients.scan(ours).await.fate, Fate::Refused(_)));
        let seen = (first.lock().len(), second.lock().len(), never.lock().len());
        assert_eq!(seen, (2, 1, 1));
        assert!(world.clients.see(true) && world.clients.see(false));
        world.configure(vec![]);
        assert!(!world.clients.see(true) && !world.clients.see(false));
    });
}

#[test]
fn it_is_tried_with_what_it_should_know() {
    run(async |world| {
        let (address, _) = world
            .scanner(Box::new(|mut stream: Box<dyn Stream>| {
                async move {
                    let whole = |got: &[u8]| match got.starts_with(b"zINSTREAM\0") {
                        true => unframed(got).is_some(),
                        false => got.contains(&0),
                    };
                    let got = read_until(&mut stream, whole).await.unwrap_or_default();
                    let says = |text: &[u8]| got.windows(text.len()).any(|part| part == text);
                    let answer: &[u8] = match &got[..] {
                        b"zPING\0" => b"PONG\0",
                        b"zVERSION\0" => b"ClamAV 1.4\0",
                        _ if says(b"EICAR-STANDARD") => b"stream: Eicar FOUND\0",
                        _ => b"stream: OK\0",
                    };
                    say(&mut stream, answer).await;
                }
                .boxed()
            }))
            .await;
        let trials = world.clients.test(&at("av", Language::Clamd, address)).await;
        let said: Vec<_> = trials
            .iter()
            .map(|trial| (trial.what, trial.outcome.as_str(), trial.answered))
            .collect();
        let refused =
            "it would be refused: 550 5.7.1 the message contains Eicar (clamd found Eicar)";
        assert_eq!(
            said,
            [
                ("PING", "PONG", true),
                ("VERSION", "ClamAV 1.4", true),
                ("a harmless message", "it would be accepted", true),
                ("the EICAR test file", refused, true),
                ("the GTUBE test string", "it would be accepted", true),
            ]
        );
    });
}
