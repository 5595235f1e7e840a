//! Transport rules: what they make of messages, each message once, whatever goes wrong.

use crate::outgoing::outside;
use crate::world::{World, address, run, run_simulated};
use base::Kind;
use base::env::sim::test_seed;
use contract_directory::{AccountChange, Actor, DirectoryAdmin};
use contract_transport::rule::{
    Action, Condition, Mode, Place, Scope, TransportRule, TransportRules, Trial,
};
use contract_transport::{Submission, Transport};
use std::time::Duration;
use store_memory::Faults;

pub(crate) fn rule(name: &str, conditions: Vec<Condition>, actions: Vec<Action>) -> TransportRule {
    TransportRule {
        name: name.into(),
        priority: 0,
        enabled: true,
        mode: Mode::Enforce,
        comments: String::new(),
        active_from_unix_ms: None,
        active_until_unix_ms: None,
        conditions,
        exceptions: Vec::new(),
        actions,
        stop: false,
        on_error: Default::default(),
    }
}

fn own(list: &[&str]) -> Vec<String> {
    list.iter().map(|one| address_text(one)).collect()
}

fn address_text(text: &str) -> String {
    address(text).to_string()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&one| one.to_owned()).collect()
}

pub(crate) async fn make(world: &World, rule: TransportRule) {
    world.node.transport.create_rule(&Actor::System, rule).await.unwrap();
}

/// A whole message instead of the one that the world writes.
pub(crate) async fn raw(world: &World, sender: &str, to: &[&str], message: &str) -> Submission {
    let mut submission = world.submission(sender, to, "raw").await;
    let mut upload = world.blobs.upload();
    upload.write(message.to_owned().into()).await.unwrap();
    let staged = upload.finish().await.unwrap();
    submission.content = contract_blob::Content::of(&staged);
    submission.staged = vec![staged];
    submission.parsed = std::sync::Arc::new(codec_mime::parse(message.as_bytes()));
    submission
}

async fn send_raw(world: &World, sender: &str, to: &[&str], message: &str) {
    let submission = raw(world, sender, to, message).await;
    world.node.transport.accept(submission).await.unwrap();
    world.settle().await;
}

#[test]
fn refusals_are_told_and_deletions_are_not() {
    run(501, async |world| {
        let text = "Not here".to_owned();
        let reject = Action::Reject { status: "5.7.900".into(), text };
        make(
            &world,
            rule("a no", vec![Condition::SubjectOrBodyWords(words(&["forbidden"]))], vec![reject]),
        )
        .await;
        make(&world, rule("gone", vec![Condition::SentTo(own(&["bob"]))], vec![Action::Delete]))
            .await;
        world.send("alice", &["bob"], "forbidden").await;
        world.send("alice", &["bob"], "allowed").await;
        world.send("bob", &["alice"], "allowed").await;
        world.settle().await;
        let alice = world.inbox("alice").await;
        assert_eq!(alice.len(), 2, "the report, and what may come: {alice:?}");
        let report = alice.iter().find(|text| text.contains("Undeliverable")).unwrap();
        assert!(report.contains("5.7.900") && report.contains("Not here"), "{report}");
        assert!(world.inbox("bob").await.is_empty());
    });
}

#[test]
fn recipients_that_rules_treat_alike_share_a_message() {
    run(502, async |world| {
        world.account("carol", None).await;
        world.account("dave", None).await;
        world.group("board", &own(&["bob", "carol"])).await;
        let conditions = vec![Condition::SentToMemberOf(own(&["board"]))];
        let actions = vec![
            Action::PrependSubject("[Board] ".into()),
            Action::SetHeader { name: "X-Board".into(), value: "yes".into() },
            Action::BlindCopyTo(own(&["dave"])),
        ];
        make(&world, rule("board", conditions, actions)).await;
        world.send("x@peer.test", &["alice", "bob", "carol"], "minutes").await;
        world.settle().await;
        for (name, is_changed) in [("alice", false), ("bob", true), ("carol", true), ("dave", true)]
        {
            let inbox = world.inbox(name).await;
            assert_eq!(inbox.len(), 1, "{name}: {inbox:?}");
            assert_eq!(inbox[0].contains("Subject: [Board] test\r\n"), is_changed, "{inbox:?}");
            assert_eq!(inbox[0].contains("X-Board: yes\r\n"), is_changed, "{inbox:?}");
            assert!(inbox[0].ends_with("\r\n\r\nminutes\r\n"), "{inbox:?}");
        }
    });
}

#[test]
fn redirections_stop_and_exceptions() {
    run(503, async |world| {
        world.account("carol", None).await;
        let mut first = rule("a", vec![], vec![Action::RedirectTo(own(&["carol"]))]);
        first.exceptions = vec![Condition::FromScope(Scope::Inside)];
        first.stop = true;
        make(&world, first).await;
        let mut second = rule("b", vec![], vec![Action::PrependSubject("b: ".into())]);
        second.priority = 1;
        make(&world, second).await;
        let mut tested = rule("c", vec![], vec![Action::Delete]);
        (tested.priority, tested.mode) = (2, Mode::Test);
        make(&world, tested).await;
        let mut from_outside = world.submission("x@peer.test", &["alice"], "out").await;
        from_outside.envelope.source.ip = Some([192, 0, 2, 1].into());
        world.node.transport.accept(from_outside).await.unwrap();
        world.send("bob", &["alice"], "in").await;
        world.settle().await;
        let (alice, carol) = (world.inbox("alice").await, world.inbox("carol").await);
        assert!(alice.len() == 1 && alice[0].contains("Subject: b: test"), "{alice:?}");
        assert!(carol.len() == 1 && carol[0].contains("Subject: test"), "{carol:?}");
    });
}

#[test]
fn attack_15_rules_meet_their_own_messages_no_second_time() {
    run(504, async |world| {
        // Each would feed the other for ever.
        let to = |name: &str| vec![Action::BlindCopyTo(own(&[name]))];
        make(&world, rule("a", vec![Condition::SentTo(own(&["alice"]))], to("bob"))).await;
        make(&world, rule("b", vec![Condition::SentTo(own(&["bob"]))], to("alice"))).await;
        make(&world, rule("c", vec![], vec![Action::Report { to: address_text("alice") }])).await;
        world.send("x@peer.test", &["alice"], "round").await;
        world.settle().await;
        let alice = world.inbox("alice").await;
        assert_eq!(alice.len(), 2, "the message and the report: {alice:?}");
        let report = alice.iter().find(|text| text.contains("Rule report: a, c")).unwrap();
        assert!(report.contains("message/rfc822") && report.contains("round"), "{report}");
        assert_eq!(world.inbox("bob").await.len(), 1);
    });
}

#[test]
fn what_is_in_the_message_is_found() {
    let boundary = "b";
    let message = format!(
        "From: a@b\r\nTo: Bob <bob@rialto.test>\r\nCc: x@peer.test\r\nSubject: =?utf-8?q?=C3=9Cbung?=\r\n\
         Importance: high\r\nX-Project: blue moon\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\
         Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         <p>se<b>cret</b> pl=E4n</p>\r\n--{boundary}\r\n\
         Content-Type: application/octet-stream; name=\"Rechnung.PDF.exe\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nTVqQAAMAAAAEAAAA//8AALgAAAA=\r\n--{boundary}--\r\n"
    );
    let header = |words: &[&str]| Condition::HeaderWords {
        header: "x-project".into(),
        words: words.iter().map(|&one| one.into()).collect(),
    };
    let cases = [
        (Condition::SubjectWords(words(&["übung"])), true),
        (Condition::SubjectWords(words(&["bung"])), false),
        (Condition::SubjectOrBodyWords(words(&["secret plän"])), true),
        (Condition::SubjectOrBodyMatches(words(&["^.bung$"])), true),
        (Condition::SubjectMatches(words(&["secret"])), false),
        (header(&["moon"]), true),
        (header(&["sun"]), false),
        (Condition::HasAttachment, true),
        (Condition::AttachmentNameMatches(words(&[r"rechnung.*\.exe$"])), true),
        (Condition::AttachmentExtensionIs(words(&["pdf"])), false),
        (Condition::AttachmentExtensionIs(words(&[".EXE"])), true),
        (Condition::AttachmentIsExecutable, true),
        (Condition::AttachmentSizeOver(100), false),
        (Condition::AttachmentSizeOver(10), true),
        (Condition::MessageSizeOver(100), true),
        (Condition::MessageSizeOver(10_000), false),
        (Condition::CharsetIs(words(&["ISO-8859-1"])), true),
        (Condition::ImportanceIs(contract_transport::rule::Importance::High), true),
        (Condition::AnyOfToHeader(own(&["bob"])), true),
        (Condition::AnyOfToHeader(words(&["x@peer.test"])), false),
        (Condition::AnyOfToCcHeader(words(&["x@peer.test"])), true),
        (Condition::SclOver(0), false),
        (Condition::SenderDomainIs(words(&["peer.test"])), true),
        (Condition::SenderDomainIs(words(&["eer.test"])), false),
        (Condition::FromAddressWords(words(&["x"])), true),
        (Condition::FromAddressMatches(words(&["^x@"])), true),
        (Condition::SentToScope(Scope::Inside), true),
        (Condition::RecipientDomainIs(words(&["test"])), true),
        (Condition::AnyRecipientAddressMatches(words(&["^bob@"])), true),
        (Condition::From(words(&["x@peer.test"])), true),
        (Condition::FromMemberOf(own(&["all"])), false),
    ];
    run(505, async |world| {
        for (number, (condition, _)) in cases.iter().enumerate() {
            let action = Action::SetHeader { name: "X-A".into(), value: "b".into() };
            let name = format!("{number:02}");
            make(&world, rule(&name, vec![condition.clone()], vec![action])).await;
        }
        let trial = Trial {
            sender: Some(address("x@peer.test")),
            is_authenticated: false,
            ip: None,
            recipients: vec![address("bob")],
            message: message.clone().into(),
        };
        let verdicts = world.node.transport.try_rules(trial).await.unwrap();
        for (number, (condition, expect)) in cases.iter().enumerate() {
            let applies = verdicts[0].rules.contains(&format!("{number:02}"));
            assert_eq!(applies, *expect, "{condition:?}");
        }
    });
}

#[test]
fn disclaimers_go_into_texts_and_around_what_is_sealed() {
    run(506, async |world| {
        let html = "<p>Sent by %%address%%</p>".to_owned();
        let place = Place::Append;
        let action = Action::Disclaimer { html, place, fallback: Default::default() };
        make(&world, rule("d", vec![], vec![action])).await;
        let head = "From: x@peer.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n";
        let alternative = format!(
            "{head}Content-Type: multipart/alternative; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\n\
             plain\r\n--b\r\nContent-Type: text/html\r\n\r\n<body>rich</body>\r\n--b--\r\n"
        );
        let signed = format!(
            "{head}Content-Type: multipart/signed; boundary=b; protocol=\"x/y\"\r\n\r\n--b\r\n\r\n\
             plain\r\n--b\r\nContent-Type: x/y\r\n\r\nsig\r\n--b--\r\n"
        );
        let plain = "From: x@peer.test\r\nSubject: s\r\n\r\nh\u{fc}llo\r\n";
        for message in [&alternative, &signed, plain] {
            send_raw(&world, "x@peer.test", &["bob"], message).await;
        }
        let inbox = world.inbox("bob").await;
        assert_eq!(inbox.len(), 3);
        let texts = |message: &str| -> Vec<String> {
            let parsed = codec_mime::parse(message.as_bytes());
            let mut found = Vec::new();
            collect(&parsed.root, message.as_bytes(), &mut found);
            found
        };
        let [alternative, signed_in, plain] = &inbox[..] else { unreachable!() };
        let found = texts(alternative);
        assert_eq!(found[0], "plain\r\n\r\nSent by x@peer.test\r\n", "{alternative}");
        assert_eq!(found[1], "<body>rich<div><p>Sent by x@peer.test</p></div></body>");
        assert!(alternative.contains("preamble\r\n--b\r\n"), "{alternative}");
        let found = texts(signed_in);
        assert_eq!(found[0].trim_end(), "Sent by x@peer.test", "{signed_in}");
        assert!(signed_in.contains(&signed), "a signature holds: {signed_in}");
        assert_eq!(texts(plain)[0], "h\u{fc}llo\r\n\r\nSent by x@peer.test\r\n", "{plain}");
    });
}

/// The texts of a message, in order, embedded messages left out.
fn collect(part: &codec_mime::Part, message: &[u8], into: &mut Vec<String>) {
    match &part.kind {
        codec_mime::PartKind::Multipart(parts) => {
            parts.iter().for_each(|part| collect(part, message, into));
        }
        codec_mime::PartKind::Message { .. } => {}
        codec_mime::PartKind::Leaf => {
            let mut decoder = codec_mime::decode::TextDecoder::new(part);
            let mut text = String::new();
            decoder.push(&message[part.body.start as usize..part.body.end as usize], &mut text);
            decoder.finish(&mut text);
            into.push(text);
        }
    }
}

#[test]
fn what_goes_to_other_servers_is_changed_too() {
    outside(507, async |world, outside| {
        let conditions = vec![Condition::SentToScope(Scope::Outside)];
        let actions = vec![Action::AddCc(own(&["alice"])), Action::RemoveHeader("X-Secret".into())];
        make(&world, rule("out", conditions, actions)).await;
        let message = "From: bob@rialto.test\r\nX-Secret: 1\r\nSubject: s\r\n\r\nb\r\n";
        send_raw(&world, "bob", &["x@one.test"], message).await;
        crate::outgoing::is_empty(&world).await;
        assert_eq!(outside.copies("x@one.test"), 1);
        let inbox = world.inbox("alice").await;
        assert_eq!(inbox.len(), 1);
        assert!(inbox[0].contains("Cc: alice@rialto.test\r\n") && !inbox[0].contains("X-Secret"));
    });
}

#[test]
fn what_cannot_be_compiled_is_refused() {
    run(508, async |world| {
        let refused = async |conditions| {
            let new = rule("r", conditions, vec![Action::Delete]);
            let result = world.node.transport.create_rule(&Actor::System, new).await;
            assert_eq!(result.unwrap_err().kind, Kind::Invalid);
        };
        refused(vec![Condition::SubjectMatches(words(&["("]))]).await;
        refused(vec![Condition::SubjectMatches(words(&[r"(\w{1000}){1000}"]))]).await;
        let known = rule("r", vec![], vec![Action::Delete]);
        make(&world, known.clone()).await;
        let again = world.node.transport.create_rule(&Actor::System, known.clone()).await;
        assert_eq!(again.unwrap_err().kind, Kind::AlreadyExists);
        world.node.transport.remove_rule(&Actor::System, "r").await.unwrap();
        let gone = world.node.transport.replace_rule(&Actor::System, known).await;
        assert_eq!(gone.unwrap_err().kind, Kind::NotFound);
    });
}

#[test]
fn each_message_meets_the_rules_once_whatever_fails() {
    let first = test_seed();
    for seed in first..first + 4 {
        run_simulated(seed, async |mut world| {
            let actions =
                vec![Action::PrependSubject("[r] ".into()), Action::BlindCopyTo(own(&["bob"]))];
            let conditions = vec![Condition::SentTo(own(&["alice"]))];
            make(&world, rule("r", conditions, actions)).await;
            world.memory().inject(Faults {
                conflict: 0.05,
                commit_unknown_applied: 0.05,
                commit_unknown_not_applied: 0.05,
                late_commit: 0.02,
                ..Faults::default()
            });
            for number in 0..8 {
                let text = format!("m{number}");
                let submission = world.submission("x@peer.test", &["alice"], &text).await;
                while world.node.transport.accept(submission.clone()).await.is_err() {
                    world.env.clock.sleep(Duration::from_millis(100)).await;
                }
                if number == 4 {
                    world.restart().await;
                }
            }
            world.env.clock.sleep(Duration::from_secs(60)).await;
            world.memory().inject(Faults::default());
            world.memory().land_late_commits();
            world.restart().await;
            world.settle().await;
            for name in ["alice", "bob"] {
                let inbox = world.inbox(name).await;
                assert_eq!(inbox.len(), 8, "{name}, seed {seed}: {inbox:?}");
                assert!(inbox.iter().all(|text| text.matches("[r] ").count() == 1), "{inbox:?}");
            }
        });
    }
}

#[test]
fn what_was_found_stays_found_after_a_rule() {
    run(509, async |world| {
        let long = Action::SetHeader { name: "X-Long".into(), value: "x".repeat(900) };
        make(&world, rule("long", vec![], vec![long, Action::PrependSubject("[X] ".into())])).await;
        // A sender's own field is no finding, however it is written.
        let forged = "X-Rialto-Spam: junk (forged)\r\n";
        for (is_found, padding) in [(true, 0), (true, 9_000), (false, 0), (false, 9_000)] {
            let lines = format!("X-Pad: {}\r\n", "y".repeat(70)).repeat(padding / 70);
            let message = format!("{forged}Subject: s\r\n{lines}\r\nb\r\n");
            let mut submission = raw(&world, "x@peer.test", &["bob"], &message).await;
            if is_found {
                let field = contract_transport::authentication::junk_field("dmarc=fail");
                submission.parsed =
                    std::sync::Arc::new((*submission.parsed).clone().shifted(field.len() as u64));
                submission.content = submission.content.with_prefix(field.into());
            }
            world.node.transport.accept(submission).await.unwrap();
        }
        world.settle().await;
        assert_eq!(world.inbox("bob").await.len(), 2, "two of four are in Junk Email");
    });
}

#[test]
fn many_rules_about_recipients_are_done_in_parts() {
    run(510, async |world| {
        let names: Vec<String> = (0..130).map(|number| format!("p{number:03}")).collect();
        let mut to = Vec::new();
        for name in &names {
            world.account(name, None).await;
            to.push(name.as_str());
            let conditions = vec![Condition::SentTo(own(&[name]))];
            let action = Action::SetHeader { name: "X-For".into(), value: name.clone() };
            make(&world, rule(name, conditions, vec![action])).await;
        }
        world.send("x@peer.test", &to, "each").await;
        world.settle().await;
        for name in &names {
            let inbox = world.inbox(name).await;
            assert_eq!(inbox.len(), 1, "{name}");
            assert!(inbox[0].contains(&format!("X-For: {name}\r\n")), "{inbox:?}");
        }
    });
}

#[test]
fn nobody_hears_of_a_blind_copy() {
    run(511, async |world| {
        let action = Action::BlindCopyTo(own(&["nowhere"]));
        make(&world, rule("bcc", vec![Condition::SentTo(own(&["bob"]))], vec![action])).await;
        world.send("alice", &["bob"], "copied").await;
        world.settle().await;
        assert_eq!(world.inbox("bob").await.len(), 1);
        assert!(world.inbox("alice").await.is_empty(), "the sender was told of the copy");
    });
}

/// However a domain is written, in a rule or in a message, it is the same domain.
#[test]
fn domains_beyond_ascii_are_found_as_the_dns_has_them() {
    outside(531, async |world, _outside| {
        let written = "m\u{fc}nchen.de";
        let names = ["by domain", "by address"];
        let conditions = [
            Condition::RecipientDomainIs(words(&[written])),
            Condition::SentTo(words(&[&format!("a@{written}")])),
        ];
        for (name, condition) in names.into_iter().zip(conditions) {
            let action = Action::PrependSubject(name.to_owned());
            make(&world, rule(name, vec![condition], vec![action])).await;
        }
        for (to, expect) in
            [("a@xn--mnchen-3ya.de", &names[..]), ("a@mail.xn--mnchen-3ya.de", &names[..1])]
        {
            let trial = Trial {
                sender: Some(address("alice")),
                is_authenticated: true,
                ip: None,
                recipients: vec![address(to)],
                message: "Subject: x\r\n\r\n".into(),
            };
            let verdicts = world.node.transport.try_rules(trial).await.unwrap();
            let mut found = verdicts[0].rules.clone();
            found.sort_by_key(|one| std::cmp::Reverse(one.clone()));
            assert_eq!(found, expect, "{to}");
        }
    });
}

/// What could not be made is refused before, and nothing is written.
#[test]
fn a_rule_is_tried_out_before_it_is_made() {
    run(532, async |world| {
        let check = async |pattern: &str, is_fine: bool| {
            let new =
                rule("x", vec![Condition::SubjectMatches(words(&[pattern]))], vec![Action::Delete]);
            let found = world.node.transport.check_rule(&new).await;
            assert_eq!(found.is_ok(), is_fine, "{pattern}");
        };
        check("a+", true).await;
        check("a(", false).await;
        assert!(world.node.transport.rules().await.unwrap().is_empty());
    });
}

/// A rule may name people by any address that they have, whichever the message names.
#[test]
fn an_alias_in_a_rule_stands_for_the_person() {
    run(533, async |world| {
        let carol = world.account("carol", None).await;
        let add_aliases = vec![address("boss")];
        let change = AccountChange { add_aliases, ..AccountChange::default() };
        world.directory.update_account(&Actor::System, carol, change).await.unwrap();
        let to_boss = vec![Condition::SentTo(own(&["boss"]))];
        make(&world, rule("to the boss", to_boss, vec![Action::Delete])).await;
        let from_boss = vec![Condition::From(own(&["boss"]))];
        make(&world, rule("from the boss", from_boss, vec![Action::Delete])).await;
        for (from, to, expect) in [
            ("alice", "carol", &["to the boss"][..]),
            ("alice", "boss", &["to the boss"]),
            ("carol", "bob", &["from the boss"]),
            ("alice", "bob", &[]),
        ] {
            let trial = Trial {
                sender: Some(address(from)),
                is_authenticated: true,
                ip: None,
                recipients: vec![address(to)],
                message: "Subject: x\r\n\r\n".into(),
            };
            let verdicts = world.node.transport.try_rules(trial).await.unwrap();
            assert_eq!(verdicts[0].rules, expect, "{from} to {to}");
        }
    });
}
