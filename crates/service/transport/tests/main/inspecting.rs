//! Rules that ask what is in attachments, with somebody who looks into them, hangs, or fails.

use crate::rules::{make, raw, rule};
use crate::world::{World, address, run};
use async_trait::async_trait;
use base::{Deadline, Error, Result};
use codec_extract::{File, Limits, extract};
use contract_transport::inspection::{Attachment, Extract, Inspector, Outcome};
use contract_transport::rule::{
    Action, Attribute, Condition, MessageType, OnError, Scope, Severity, TransportRules, Trial,
    Verdict,
};
use contract_transport::{QueueAdmin, Transport};
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Looks into attachments in this process. One that has the word HANGS in it hangs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looker {
    /// How often it was asked.
    asked: Arc<AtomicUsize>,
    /// Whether the store does not give it any bytes.
    is_blind: Arc<AtomicBool>,
}

impl Looker {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Inspector for Looker {
    async fn inspect(&self, attachment: Attachment, deadline: Deadline) -> Result<Extract> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_blind.load(Ordering::Relaxed) {
            return Err(Error::unavailable("no bytes"));
        }
        let Attachment { name, media_type, charset, bytes: mut pieces } = attachment;
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
        }
        if bytes.windows(5).any(|some| some == b"HANGS") {
            tokio::time::sleep_until(deadline.within(Duration::from_secs(10)).instant()).await;
            return Ok(Extract::failed(Outcome::Failed));
        }
        let file = File { name: &name, media_type: &media_type, charset: &charset, bytes: &bytes };
        Ok(extract(&file, &Limits::default()))
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&one| one.to_owned()).collect()
}

/// A message with attachments: their names and bytes.
fn message(attachments: &[(&str, &[u8])]) -> String {
    use base64::Engine;
    let part = |(name, bytes): &(&str, &[u8])| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!(
            "--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        )
    };
    let parts: String = attachments.iter().map(part).collect();
    format!(
        "From: x@peer.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee attached\r\n{parts}--b--\r\n"
    )
}

/// A zip file with one file in it, which is not packed.
fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let sizes = [(bytes.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
    let lengths = (name.len() as u16).to_le_bytes();
    let mut out = [&b"PK\x03\x04"[..], &[10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    out.extend([&sizes[..], &lengths, &[0, 0], name.as_bytes(), bytes].concat());
    let directory = out.len() as u32;
    out.extend([&b"PK\x01\x02"[..], &[10, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
    out.extend([&sizes[..], &lengths, &[0; 16], name.as_bytes()].concat());
    let size = out.len() as u32 - directory;
    out.extend([&b"PK\x05\x06"[..], &[0, 0, 0, 0, 1, 0, 1, 0]].concat());
    out.extend([size.to_le_bytes(), directory.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

async fn tried(world: &World, sender: &str, to: &str, message: String) -> Verdict {
    let trial = Trial {
        sender: Some(address(sender)),
        is_authenticated: !sender.contains("peer"),
        ip: Some([192, 0, 2, 7].into()),
        recipients: vec![address(to)],
        message: message.into(),
    };
    world.node.transport.try_rules(trial).await.unwrap().remove(0)
}

/// Which of some conditions hold for a message.
async fn check_all(world: &World, message: String, cases: &[(Condition, bool)]) {
    for (number, (condition, _)) in cases.iter().enumerate() {
        let action = Action::SetHeader { name: "X-A".into(), value: "b".into() };
        make(world, rule(&format!("{number:02}"), vec![condition.clone()], vec![action])).await;
    }
    let verdict = tried(world, "x@peer.test", "bob", message).await;
    for (number, (condition, expect)) in cases.iter().enumerate() {
        let name = format!("{number:02}");
        assert_eq!(verdict.rules.contains(&name), *expect, "{condition:?}");
    }
    for (number, _) in cases.iter().enumerate() {
        let name = format!("{number:02}");
        let system = contract_directory::Actor::System;
        world.node.transport.remove_rule(&system, &name).await.unwrap();
    }
}

#[test]
fn what_is_in_attachments_is_found() {
    let property = |words_: &[&str]| Condition::AttachmentPropertyWords {
        property: "Title".into(),
        words: words(words_),
    };
    run(540, async |world| {
        let rtf = b"{\\rtf1{\\info{\\title Blue moon}}top sec{\\b ret} 4711\\par}";
        let attached = message(&[("a.csv", b"no;thing"), ("b.doc", rtf)]);
        let cases = [
            (Condition::AttachmentWords(words(&["no such", "TOP SECRET"])), true),
            (Condition::AttachmentWords(words(&["see attached"])), false),
            (Condition::AttachmentMatches(words(&[r"\b\d{4}\b"])), true),
            (Condition::AttachmentMatches(words(&[r"\d{5}"])), false),
            (property(&["moon"]), true),
            (property(&["secret"]), false),
            (Condition::AttachmentIsUnsupported, false),
            (Condition::AttachmentIsNotFullyScanned, false),
            (Condition::AttachmentIsPasswordProtected, false),
            (Condition::AttachmentIsExecutable, false),
        ];
        check_all(&world, attached, &cases).await;
        let sealed = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer << /Encrypt 2 0 R >>";
        let cases = [
            (Condition::AttachmentIsPasswordProtected, true),
            (Condition::AttachmentIsUnsupported, true),
            (Condition::AttachmentIsNotFullyScanned, false),
            (Condition::AttachmentIsExecutable, true),
        ];
        let program = zip("notes.txt", b"MZ\x90\0\x03");
        check_all(&world, message(&[("a.pdf", sealed), ("b.zip", &program)]), &cases).await;
        let cases = [
            (Condition::AttachmentIsUnsupported, true),
            (Condition::AttachmentIsNotFullyScanned, true),
            (Condition::AttachmentIsPasswordProtected, false),
        ];
        check_all(&world, message(&[("a.bin", b"it HANGS")]), &cases).await;
    });
}

#[test]
fn attachments_are_looked_into_once_and_only_where_that_decides() {
    run(541, async |world| {
        let looker = world.node.looker.clone();
        let asked = async |expect: usize, files: &[(&str, &[u8])]| {
            let before = looker.asked();
            let verdict = tried(&world, "x@peer.test", "bob", message(files)).await;
            assert_eq!(looker.asked() - before, expect, "{verdict:?}");
            verdict.rules
        };
        let text: &[(&str, &[u8])] = &[("a.txt", b"secret")];
        let action = || vec![Action::PrependSubject("x ".into())];
        make(&world, rule("0", vec![Condition::HasAttachment], action())).await;
        asked(0, text).await;
        let secret = || Condition::AttachmentWords(words(&["secret"]));
        let inside = vec![Condition::FromScope(Scope::Inside), secret()];
        make(&world, rule("1", inside, action())).await;
        asked(0, text).await;
        let mut excepted = rule("2", vec![secret()], action());
        excepted.exceptions = vec![Condition::SubjectWords(words(&["s"]))];
        make(&world, excepted).await;
        asked(0, text).await;
        // Programs are looked for in archives only.
        make(&world, rule("3", vec![Condition::AttachmentIsExecutable], action())).await;
        asked(0, text).await;
        asked(0, &[("a.exe", b"MZ\x90\0")]).await;
        asked(1, &[("a.txt", b"no"), ("b.zip", &zip("a", b"b"))]).await;
        // Several rules, two attachments.
        make(&world, rule("4", vec![secret()], action())).await;
        make(&world, rule("5", vec![Condition::AttachmentIsUnsupported], action())).await;
        assert_eq!(asked(2, &[("a.txt", b"secret"), ("b.txt", b"")]).await, ["0", "4"]);
        asked(0, &[]).await;
    });
}

#[test]
fn attachments_that_hang_hold_nobody_up() {
    run(542, async |world| {
        let conditions = vec![Condition::AttachmentIsNotFullyScanned];
        make(&world, rule("r", conditions, vec![Action::PrependSubject("[?] ".into())])).await;
        let files = [("a.bin", &b"HANGS"[..]); 7];
        for _ in 0..50 {
            let submission = raw(&world, "x@peer.test", &["bob"], &message(&files)).await;
            world.node.transport.accept(submission).await.unwrap();
        }
        world.env.clock.sleep(Duration::from_secs(1)).await;
        for number in 0..20 {
            let text = format!("plain{number}");
            let submission = world.submission("x@peer.test", &["alice"], &text).await;
            world.node.transport.accept(submission).await.unwrap();
        }
        world.env.clock.sleep(Duration::from_secs(3)).await;
        assert_eq!(world.inbox("alice").await.len(), 20);
        assert!(world.node.transport.count().await.unwrap() >= 30);
        world.settle().await;
        let inbox = world.inbox("bob").await;
        assert_eq!(inbox.len(), 50);
        assert!(inbox.iter().all(|text| text.contains("Subject: [?] s\r\n")));
    });
}

#[test]
fn what_cannot_be_read_defers_where_the_rule_says_so() {
    for (seed, on_error, is_deferred) in
        [(543, OnError::Defer, true), (544, OnError::Ignore, false)]
    {
        run(seed, async |world| {
            let conditions = vec![Condition::AttachmentWords(words(&["secret"]))];
            let mut new = rule("r", conditions, vec![Action::PrependSubject("[!] ".into())]);
            new.on_error = on_error;
            make(&world, new).await;
            world.node.looker.is_blind.store(true, Ordering::Relaxed);
            let text = message(&[("a.txt", b"secret")]);
            let submission = raw(&world, "x@peer.test", &["bob"], &text).await;
            world.node.transport.accept(submission).await.unwrap();
            // Another message, with nothing to look into, goes on.
            world.send("x@peer.test", &["alice"], "plain").await;
            world.env.clock.sleep(Duration::from_secs(10)).await;
            assert_eq!(world.inbox("alice").await.len(), 1);
            assert_eq!(world.inbox("bob").await.is_empty(), is_deferred);
            world.node.looker.is_blind.store(false, Ordering::Relaxed);
            world.settle().await;
            let inbox = world.inbox("bob").await;
            assert_eq!(inbox.len(), 1);
            assert_eq!(inbox[0].contains("Subject: [!] s"), is_deferred, "{inbox:?}");
        });
    }
}

#[test]
fn people_are_known_by_what_the_directory_says_of_them() {
    let attribute = |attribute, list: &[&str]| Condition::RecipientAttributeWords {
        attribute,
        words: words(list),
    };
    let compared = |attribute, equal| Condition::AttributeCompared { attribute, equal };
    run(545, async |world| {
        world.account("carol", None).await;
        world.group("board", &[address("carol").to_string()]).await;
        let header = "From: x\r\nTo: a@peer.test, Carol <carol@rialto.test>\r\nCc: bob@rialto.test\r\n\
                      X-Rialto-Classification: Company =?utf-8?q?=C3=BCber?=\r\n\
                      Content-Class: voice\r\nAutoforwarded: TRUE\r\n\r\n";
        let board = words(&[&address("board").to_string()]);
        let matches = |attribute, pattern: &str| Condition::SenderAttributeMatches {
            attribute,
            patterns: words(&[pattern]),
        };
        let cases = [
            (Condition::SenderIpIn(words(&["192.0.2.0/29", "10.0.0.1"])), true),
            (Condition::SenderIpIn(words(&["192.0.2.8-192.0.2.9"])), false),
            (attribute(Attribute::Kind, &["user"]), true),
            (attribute(Attribute::Kind, &["room"]), false),
            (attribute(Attribute::Email, &["bob@rialto.test"]), true),
            (attribute(Attribute::Domain, &["rialto.test"]), true),
            (matches(Attribute::Domain, "^peer"), true),
            (matches(Attribute::DisplayName, "."), false),
            (compared(Attribute::Domain, true), false),
            (compared(Attribute::Domain, false), true),
            (compared(Attribute::Kind, true), false),
            (Condition::AnyOfToMemberOf(board.clone()), true),
            (Condition::AnyOfCcMemberOf(board.clone()), false),
            (Condition::AnyOfToCcMemberOf(board), true),
            (Condition::HasClassification(words(&["secret", "company \u{fc}ber"])), true),
            (Condition::HasClassification(words(&["company"])), false),
            (Condition::HasNoClassification, false),
            (Condition::MessageTypeIs(MessageType::Voicemail), true),
            (Condition::MessageTypeIs(MessageType::AutomaticForward), true),
            (Condition::MessageTypeIs(MessageType::PermissionControlled), false),
        ];
        check_all(&world, header.to_owned(), &cases).await;
        let own = rule("own", vec![compared(Attribute::Kind, true)], vec![Action::Delete]);
        make(&world, own).await;
        let verdict = tried(&world, "alice", "bob", "Subject: x\r\n\r\n".into()).await;
        assert_eq!(verdict.rules, ["own"], "both are users");
    });
}

#[test]
fn recipients_are_told_and_messages_classified() {
    run(546, async |world| {
        let html = "<p>%%from%% wrote: %%subject%%</p>".to_owned();
        let actions = vec![
            Action::Classify("Internal".into()),
            Action::SetSeverity(Severity::High),
            Action::NotifyRecipient { html },
            Action::Report { to: address("alice").to_string() },
            Action::Delete,
        ];
        let to_bob = vec![Condition::SentTo(vec![address("bob").to_string()])];
        make(&world, rule("a quiet", to_bob, actions)).await;
        let to_carol = vec![Condition::HasNoClassification];
        make(&world, rule("class", to_carol, vec![Action::Classify("Public".into())])).await;
        world.account("carol", None).await;
        world.send("x@peer.test", &["bob", "carol"], "text").await;
        world.settle().await;
        let bob = world.inbox("bob").await;
        assert_eq!(bob.len(), 1, "the notice alone: {bob:?}");
        let parsed = codec_mime::parse(bob[0].as_bytes());
        let body = &bob[0].as_bytes()[parsed.root.body.start as usize..];
        let told = codec_mime::decode::whole(parsed.root.transfer_encoding(), body);
        assert_eq!(String::from_utf8_lossy(&told), "<p>x@peer.test wrote: test</p>");
        let is_named = bob[0].contains("carol") || bob[0].contains("To: bob");
        assert!(!is_named && bob[0].contains("Auto-Submitted: auto-generated"), "{bob:?}");
        let carol = world.inbox("carol").await;
        assert!(carol.len() == 1 && carol[0].contains("X-Rialto-Classification: Public\r\n"));
        let report = world.inbox("alice").await;
        assert!(report.len() == 1 && report[0].contains("Rule report: a quiet"), "{report:?}");
    });
}
