//! What reports say: in the sender's language, with the message itself where it is wanted, and
//! with the types of RFC 6533 where an address needs them.

use crate::courier::{Does, Outside};
use crate::outgoing::{is_empty, outside};
use crate::world::{World, run};
use base::{AccountId, Address};
use contract_directory::Actor;
use contract_transport::authentication::INSIDE_FIELD;
use contract_transport::connector::{ConnectorChange, SendConnectors};
use contract_transport::{Submission, Transport};

/// Sends a message with more header fields to somebody who is not there; gives the report.
async fn told(world: &World, fields: &str, change: impl FnOnce(&mut Submission)) -> String {
    let before = world.inbox("alice").await.len();
    let mut submission = world.submission("alice", &["nobody"], "lost").await;
    submission.content = submission.content.with_prefix(fields.to_owned().into());
    change(&mut submission);
    world.node.transport.accept(submission).await.unwrap();
    world.settle().await;
    let mut reports = world.inbox("alice").await;
    assert_eq!(reports.len(), before + 1, "{reports:?}");
    reports.pop().unwrap()
}

/// A report with what is never the same left out.
fn fixed(report: &str) -> String {
    let mut lines = Vec::new();
    // What delivery has put in front is not the report's.
    for line in report.lines().skip_while(|line| !line.starts_with("Date: ")) {
        let cut = ["Date: ", "Arrival-Date: "].iter().find(|name| line.starts_with(**name));
        let words = match cut {
            Some(name) => format!("{name}(moment)"),
            None => {
                let is_id = |word: &str| {
                    word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
                };
                let mut line = line.to_owned();
                while let Some(at) =
                    (0..line.len()).find(|at| line.get(*at..*at + 32).is_some_and(is_id))
                {
                    line.replace_range(at..at + 32, "(id)");
                }
                line
            }
        };
        lines.push(words);
    }
    lines.join("\n") + "\n"
}

#[test]
fn each_language_has_its_report() {
    let mut wrong = Vec::new();
    for (language, expect) in [
        ("en", include_str!("golden/report-en.eml")),
        ("de", include_str!("golden/report-de.eml")),
        ("fr", include_str!("golden/report-fr.eml")),
        ("es", include_str!("golden/report-es.eml")),
    ] {
        run(31, async |world| {
            let fields = format!("Accept-Language: {language}\r\n");
            let report = fixed(&told(&world, &fields, |_| {}).await);
            if report != expect {
                wrong.push(format!("=== {language}\n{report}"));
            }
            let parsed = codec_mime::parse(report.as_bytes());
            let subject = parsed.envelope.subject.unwrap();
            assert!(codec_mime::encoded_word::decode(&subject).ends_with(": test"));
        });
    }
    assert!(wrong.is_empty(), "{}===\n", wrong.join(""));
}

#[test]
fn the_message_comes_back_where_it_is_wanted() {
    run(32, async |world| {
        let all = "Content-Type: message/rfc822";
        let body = "\r\n\r\nlost\r\n";
        let whole = told(&world, "", |_| {}).await;
        assert!(whole.contains(all) && whole.contains(body), "{whole}");
        let header = told(&world, "", |one| one.envelope.return_headers_only = true).await;
        assert!(header.contains("text/rfc822-headers") && !header.contains(body), "{header}");
        assert!(header.contains("Message-ID: <lost@test>"), "{header}");
        let header = told(&world, "", |one| one.envelope.require_tls = true).await;
        assert!(header.contains("text/rfc822-headers") && !header.contains(body), "{header}");
        // The message is stored once, whatever comes back of it.
        let parsed = codec_mime::parse(whole.as_bytes());
        assert!(format!("{:?}", parsed.envelope.subject).contains("Undeliverable"));
    });
}

/// Whoever forges a sender must not make us send a text to a stranger; and what leaves must fit the
/// connector.
#[test]
fn attack_strangers_get_the_header_only() {
    outside(35, async |world, outside| {
        outside.set("far.test", Does::Judge);
        let check = async |number: u32, expect: bool, change: &dyn Fn(&mut Submission)| {
            let sender = format!("s{number}@x.test");
            let to = if number.is_multiple_of(2) { "nobody" } else { "fails@far.test" };
            let mut submission = world.submission(&sender, &[to], "payload").await;
            submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
            change(&mut submission);
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            assert_eq!(returned_whole(&outside, &sender), expect, "{number}");
        };
        let inside = |one: &mut Submission| {
            one.content = one.content.clone().with_prefix(INSIDE_FIELD.into());
        };
        for place in [0, 1] {
            check(10 + place, false, &|_| {}).await;
            check(20 + place, true, &|one| one.envelope.authenticated = Some(AccountId(7))).await;
            check(30 + place, true, &inside).await;
        }
        let limit = ConnectorChange {
            size_bytes_max: Some(Some(100 * 1024)),
            ..ConnectorChange::default()
        };
        world.node.transport.update_connector(&Actor::System, "out", limit).await.unwrap();
        check(40, false, &inside).await;
    });
}

/// Whether the only report that an address outside got has the message in it.
fn returned_whole(outside: &Outside, to: &str) -> bool {
    let taken = outside.taken();
    let mut reports = taken.iter().filter(|one| one.recipients.contains(&to.to_owned()));
    let report = reports.next().unwrap();
    assert!(reports.next().is_none(), "{taken:?}");
    // The head, the message's own, the tail; or one blob.
    report.segments >= 3
}

#[test]
fn a_large_message_does_not_come_back() {
    run(33, async |world| {
        let limit = 10 << 20;
        for (more, is_whole) in [(false, true), (true, false)] {
            let before = world.inbox_sizes("alice").await.len();
            let mut submission = world.submission("alice", &["nobody"], "large").await;
            let rest = limit - submission.content.size_bytes() + u64::from(more);
            let line = format!("{}\r\n", "x".repeat(998));
            let mut text = line.repeat(usize::try_from(rest / 1_000).unwrap());
            text.push_str(&"y".repeat(usize::try_from(rest % 1_000).unwrap()));
            let mut upload = world.blobs.upload();
            upload.write(text.into()).await.unwrap();
            let staged = upload.finish().await.unwrap();
            let end = contract_blob::Content::of(&staged).segments;
            submission.content.segments.extend(end);
            submission.staged.push(staged);
            world.node.transport.accept(submission).await.unwrap();
            world.settle().await;
            let sizes = world.inbox_sizes("alice").await;
            assert_eq!(sizes.len(), before + 1);
            assert_eq!(sizes[before] > limit, is_whole, "{sizes:?}");
        }
    });
}

#[test]
fn addresses_beyond_ascii_are_named_as_they_are() {
    run(34, async |world| {
        let report = told(&world, "", |one| {
            let to = &mut one.envelope.recipients[0];
            to.address = Address::new("b\u{fc}ro", crate::world::DOMAIN);
            to.original = Some("utf-8;b\u{fc}ro@alt.test".into());
        })
        .await;
        for part in [
            "Content-Type: message/global-delivery-status",
            "Content-Type: message/global\r\n",
            "Final-Recipient: utf-8; b\u{fc}ro@rialto.test",
            "Original-Recipient: utf-8; b\u{fc}ro@alt.test",
        ] {
            assert!(report.contains(part), "{part:?} is not in {report}");
        }
    });
}
