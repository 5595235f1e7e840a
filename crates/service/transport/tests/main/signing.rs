//! DKIM: which mail leaves signed, with which keys, and what administrators see of them.

use crate::courier::{CONVERTED, Does, Outside};
use crate::outgoing::{is_empty, outside};
use crate::rules::{raw, rule};
use crate::world::{DOMAIN, World};
use base::{AccountId, Kind, wire};
use bytes::Bytes;
use contract_directory::{Actor, DirectoryAdmin};
use contract_store::Store;
use contract_transport::authentication::{INSIDE_FIELD, junk_field};
use contract_transport::connector::{ConnectorChange, SendConnectors};
use contract_transport::rule::{Action, TransportRules};
use contract_transport::signing::{
    DomainKey, KeyAlgorithm, KeyState, NewKey, PrivateKey, ShownKey, SigningAdmin,
};
use contract_transport::tracking::{Event, MessageTracking};
use contract_transport::{QueueAdmin, Submission, Transport};
use service_sender_auth::dkim::{
    BodyHash, Canonical, Kind as FieldKind, PublicKey, Signature, header_input,
};
use service_sender_auth::header::Header;
use std::sync::Arc;
use std::time::Duration;

/// Makes a key; its selector is its algorithm's name and `number`.
pub(crate) async fn made(world: &World, algorithm: KeyAlgorithm, number: u32) -> ShownKey {
    let selector = Some(format!("{}{number}", algorithm.word()));
    let new = NewKey { domain: DOMAIN.into(), selector, algorithm };
    world.node.transport.create_signing_key(&Actor::Operator, new).await.unwrap()
}

pub(crate) async fn activate(world: &World, key: &ShownKey) {
    let transport = &world.node.transport;
    transport.activate_signing_key(&Actor::Operator, DOMAIN, &key.selector).await.unwrap();
}

/// The selectors of the signatures in front of what an address got, each of which must hold.
fn signers(outside: &Outside, to: &str, text: &str, keys: &[ShownKey]) -> Vec<String> {
    let taken = outside.taken();
    let taken = taken.iter().find(|one| one.recipients.contains(&to.to_owned())).unwrap();
    let message = format!(
        "From: alice@rialto.test\r\nTo: {to}\r\nSubject: test\r\nMessage-ID: <{text}@test>\r\n\r\n"
    );
    let header = Header::new(Bytes::from(taken.front.clone() + &message));
    let mut body = BodyHash::new(Canonical::Relaxed, None);
    body.push(format!("{text}\r\n").as_bytes());
    let body_hash = body.finish().0;
    let each = header.named("dkim-signature").map(|own| {
        let signature = Signature::parse(own.value, FieldKind::Dkim).unwrap();
        assert_eq!(signature.domain, DOMAIN);
        let key = keys.iter().find(|key| key.selector == signature.selector).unwrap();
        let key = PublicKey::parse(key.record.as_bytes()).unwrap();
        let input = header_input(&header, &signature, own);
        assert_eq!(signature.body_hash[..], body_hash[..], "{}", taken.front);
        assert!(key.verifies(&input, &signature.signature), "{}", taken.front);
        signature.selector
    });
    each.collect()
}

async fn send(world: &World, to: &str, text: &str, change: impl FnOnce(&mut Submission)) {
    let mut submission = world.submission("alice@rialto.test", &[to], text).await;
    change(&mut submission);
    world.node.transport.accept(submission).await.unwrap();
    is_empty(world).await;
}

#[test]
fn keys_sign_from_their_activation_to_their_retirement() {
    outside(401, async |world, outside| {
        let transport = &world.node.transport;
        let rsa = made(&world, KeyAlgorithm::Rsa, 1).await;
        let ed = made(&world, KeyAlgorithm::Ed25519, 1).await;
        let next = made(&world, KeyAlgorithm::Ed25519, 2).await;
        assert_eq!(
            (rsa.state, rsa.name().as_str()),
            (KeyState::Prepared, "rsa1._domainkey.rialto.test")
        );
        let keys = [rsa, ed, next];
        let sent = async |to: &str| {
            send(&world, to, "hello", |_| {}).await;
            signers(&outside, to, "hello", &keys)
        };
        assert!(sent("a@x.test").await.is_empty(), "nobody could check it yet");
        activate(&world, &keys[0]).await;
        activate(&world, &keys[1]).await;
        assert_eq!(sent("b@x.test").await, ["ed255191", "rsa1"]);
        activate(&world, &keys[2]).await;
        assert_eq!(sent("c@x.test").await, ["ed255192", "rsa1"], "one of each kind");
        let states = async || {
            let keys = transport.signing_keys("Rialto.Test").await.unwrap();
            keys.iter().map(|key| (key.selector.clone(), key.state)).collect::<Vec<_>>()
        };
        let expect = [
            ("ed255191".to_owned(), KeyState::Retired),
            ("ed255192".to_owned(), KeyState::Active),
            ("rsa1".to_owned(), KeyState::Active),
        ];
        assert_eq!(states().await, expect);
        let operator = Actor::Operator;
        let refused = transport.remove_signing_key(&operator, DOMAIN, "rsa1").await.unwrap_err();
        assert_eq!(refused.kind, Kind::CannotChange);
        transport.retire_signing_key(&operator, DOMAIN, "RSA1").await.unwrap();
        assert_eq!(sent("d@x.test").await, ["ed255192"]);
        transport.remove_signing_key(&operator, DOMAIN, "rsa1").await.unwrap();
        assert_eq!(states().await, expect[..2]);
        let audit = world.directory.audit(100).await.unwrap();
        let of = |action: &str| audit.iter().filter(|one| one.action == action).count();
        assert_eq!((of("domain.dkim.create"), of("domain.dkim.remove")), (3, 1), "{audit:?}");
        assert_eq!(of("domain.dkim.update"), 4, "{audit:?}");
        let ed = audit.iter().find(|one| one.target == keys[1].name()).unwrap();
        assert!(ed.parameters.starts_with("algorithm=ed25519 state="), "{ed:?}");
    });
}

/// What has to be converted for a host is signed in that form, and without what was signed before.
#[test]
fn what_leaves_converted_is_signed_as_it_leaves() {
    outside(410, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        send(&world, "a@x.test", "hello", |_| {}).await;
        let converted = std::str::from_utf8(CONVERTED).unwrap();
        let resigned = outside.taken()[0].resigned.clone();
        let (header, body) = converted.split_once("\r\n\r\n").unwrap();
        let header = Header::new(Bytes::from(format!("{resigned}{header}\r\n\r\n")));
        let mut hash = BodyHash::new(Canonical::Relaxed, None);
        hash.push(body.as_bytes());
        let own = header.named("dkim-signature").next().unwrap();
        let signature = Signature::parse(own.value, FieldKind::Dkim).unwrap();
        assert_eq!(signature.body_hash[..], hash.finish().0[..], "{resigned}");
        let public = PublicKey::parse(key.record.as_bytes()).unwrap();
        let input = header_input(&header, &signature, own);
        assert!(public.verifies(&input, &signature.signature), "{resigned}");
        // A stranger's mail under our name is not signed in this form either.
        send(&world, "b@x.test", "hello", |submission| {
            submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
        })
        .await;
        assert_eq!(outside.taken()[1].resigned, "");
    });
}

/// What strangers sent and goes on is sealed, with what was found when it came.
#[test]
fn mail_of_others_that_goes_on_is_sealed() {
    outside(409, async |world, outside| {
        let results = "Authentication-Results: mx.rialto.test;\r\n\tspf=pass smtp.helo=x.test\r\n";
        let check = async |to: &str, front: &str, expect: &str| {
            send(&world, to, "hello", |submission| {
                submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
                let content = submission.content.clone();
                submission.content = content.with_prefix(Bytes::from(front.to_owned()));
            })
            .await;
            let taken = outside.taken();
            let taken = taken.iter().find(|one| one.recipients.contains(&to.to_owned())).unwrap();
            let seal = Header::new(Bytes::from(taken.front.clone()));
            let seal = seal.named("arc-seal").next().map(|seal| seal.value.to_vec());
            let signature = seal.map(|seal| Signature::parse(&seal, FieldKind::ArcSeal).unwrap());
            let by = signature.map(|one| one.selector).unwrap_or_default();
            assert_eq!(by, expect, "{to}: {}", taken.front);
            taken.front.clone()
        };
        check("early@x.test", results, "").await;
        let ed = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &ed).await;
        check("short@x.test", results, "ed255191").await;
        let rsa = made(&world, KeyAlgorithm::Rsa, 1).await;
        activate(&world, &rsa).await;
        let front = check("both@x.test", results, "rsa1").await;
        let told =
            "ARC-Authentication-Results: i=1; mx.rialto.test;\r\n\tspf=pass smtp.helo=x.test";
        assert!(front.contains(told) && !front.contains("DKIM-Signature"), "{front}");
        check("unchecked@x.test", "Received: by mx\r\n", "").await;
        check("ours@x.test", INSIDE_FIELD, "").await;
        // A rule that changes the header leaves what was found where it is known to be ours.
        let rule = rule("mark", vec![], vec![Action::PrependSubject("[x] ".into())]);
        world.node.transport.create_rule(&Actor::Operator, rule).await.unwrap();
        let front = check("changed@x.test", results, "rsa1").await;
        assert!(front.contains(told), "{front}");
    });
}

#[test]
fn only_mail_of_ours_is_signed() {
    outside(402, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        let check = async |to: &str, expect: bool, change: &dyn Fn(&mut Submission)| {
            send(&world, to, "hello", |submission| {
                submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
                change(submission);
            })
            .await;
            let taken = outside.taken();
            let taken = taken.iter().find(|one| one.recipients.contains(&to.to_owned())).unwrap();
            assert_eq!(taken.front.starts_with("DKIM-Signature: "), expect, "{to}: {taken:?}");
        };
        let front = |submission: &mut Submission, field: &str| {
            let content = submission.content.clone();
            submission.content = content.with_prefix(Bytes::from(field.to_owned()));
        };
        check("stranger@x.test", false, &|_| {}).await;
        check("forger@x.test", false, &|one| {
            front(one, "Received: x\r\nX-Rialto-Origin: inside\r\n")
        })
        .await;
        check("junk@x.test", false, &|one| front(one, &junk_field("x"))).await;
        check("user@x.test", true, &|one| one.envelope.authenticated = Some(AccountId(7))).await;
        check("printer@x.test", true, &|one| front(one, INSIDE_FIELD)).await;
        check("own@x.test", true, &|one| one.envelope.source.ip = None).await;
        for from in ["bob@sub.rialto.test", "bob@other.test", "bob"] {
            let to = format!("{}@x.test", from.replace('@', "-at-"));
            let submission = world.submission(from, &[&to], "other").await;
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let taken = outside.taken();
            let taken = taken.iter().find(|one| one.recipients.contains(&to)).unwrap();
            assert!(!taken.front.contains("DKIM"), "{from}: {taken:?}");
        }
    });
}

#[test]
fn what_a_key_cannot_be_made_of_is_refused() {
    outside(403, async |world, _| {
        let check = async |domain: &str, selector: Option<&str>, expect: Option<Kind>| {
            let selector = selector.map(str::to_owned);
            let new = NewKey { domain: domain.into(), selector, algorithm: KeyAlgorithm::Ed25519 };
            let checked = world.node.transport.check_signing_key(&new).await;
            let made = world.node.transport.create_signing_key(&Actor::System, new).await;
            assert_eq!(made.as_ref().err().map(|error| error.kind), expect, "{made:?}");
            assert_eq!(checked.ok(), made.ok().map(|key| key.name()));
        };
        check(DOMAIN, Some("s1"), None).await;
        check(DOMAIN, Some("S1"), Some(Kind::AlreadyExists)).await;
        check("RIALTO.test.", Some("s2"), None).await;
        check("rialto.test.evil.test", Some("s1"), Some(Kind::NotFound)).await;
        check("sub.rialto.test", Some("s1"), Some(Kind::NotFound)).await;
        check("", Some("s1"), Some(Kind::Invalid)).await;
        check(DOMAIN, Some("a.b"), Some(Kind::Invalid)).await;
        // Two of one day have different names.
        check(DOMAIN, None, None).await;
        check(DOMAIN, None, None).await;
        let keys = world.node.transport.signing_keys(DOMAIN).await.unwrap();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert!(keys.iter().any(|key| key.selector.ends_with("-ed25519-2")), "{keys:?}");
        let none = world.node.transport.activate_signing_key(&Actor::System, DOMAIN, "no").await;
        assert_eq!(none.unwrap_err().kind, Kind::NotFound);
    });
}

/// A key of another version of this program, or one that broke: mail goes on all the same.
#[test]
fn a_key_that_cannot_be_read_holds_no_mail_up() {
    outside(404, async |world, outside| {
        let good = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &good).await;
        let broken = DomainKey {
            name: DomainKey::name_of(DOMAIN, "broken"),
            algorithm: KeyAlgorithm::Rsa,
            private: PrivateKey(Bytes::from_static(b"no key")),
            record: "v=DKIM1; k=rsa; p=AAAA".into(),
            state: KeyState::Active,
            created: world.env.clock.now(),
        };
        let store: &Arc<dyn Store> = &world.dynamic;
        let tx = store.begin();
        let row = wire::encode_row(1, &broken).unwrap();
        tx.set(format!("T/k/{}", broken.name).as_bytes(), &row);
        tx.commit().await.unwrap();
        assert_eq!(world.node.transport.signing_keys(DOMAIN).await.unwrap().len(), 2);
        send(&world, "a@x.test", "hello", |_| {}).await;
        assert_eq!(signers(&outside, "a@x.test", "hello", &[good]), ["ed255191"]);
    });
}

/// What waits is routed anew with the signature that it has; the story tells who has signed.
#[test]
fn a_message_is_signed_once_however_often_it_is_routed() {
    outside(405, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        outside.set("x.test", Does::Away);
        let transport = &world.node.transport;
        let submission = world.submission("alice@rialto.test", &["a@x.test"], "hello").await;
        let queue = submission.queue;
        transport.accept(submission).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(30)).await;
        let off = ConnectorChange { connections_max: Some(3), ..ConnectorChange::default() };
        transport.update_connector(&Actor::System, "out", off).await.unwrap();
        let waiting = transport.list(None, 10).await.unwrap();
        assert_eq!(waiting.len(), 1);
        transport.resubmit(waiting[0].queue).await.unwrap();
        outside.set("x.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!(signers(&outside, "a@x.test", "hello", &[key]), ["ed255191"]);
        let story = transport.story(queue).await.unwrap();
        let transfer = story.iter().find(|one| one.event == Event::Transfer).unwrap();
        assert_eq!(transfer.reason, "signed for rialto.test by ed255191");
    });
}

/// What rules change is signed as it is then, and is no less from inside.
#[test]
fn what_rules_have_changed_is_signed_all_the_same() {
    outside(406, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        let changed = rule("mark", vec![], vec![Action::PrependSubject("[x] ".into())]);
        world.node.transport.create_rule(&Actor::System, changed).await.unwrap();
        for (to, field, expect) in [
            ("printer@x.test", INSIDE_FIELD, true),
            ("stranger@x.test", "Received: x\r\nX-Rialto-Origin: inside\r\n", false),
        ] {
            let mut submission = world.submission("alice@rialto.test", &[to], "hello").await;
            submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
            submission.content = submission.content.with_prefix(Bytes::from(field));
            let whole = format!(
                "{field}From: alice@rialto.test\r\nTo: {to}\r\nSubject: test\r\n\
                 Message-ID: <hello@test>\r\n\r\nhello\r\n"
            );
            submission.parsed = Arc::new(codec_mime::parse(whole.as_bytes()));
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let taken = outside.taken();
            let taken = taken.iter().find(|one| one.recipients.contains(&to.to_owned())).unwrap();
            assert_eq!(taken.front.starts_with("DKIM-Signature: "), expect, "{to}: {taken:?}");
        }
    });
}

/// A disclaimer goes around what is sealed; what we know of the message stays in front of all.
#[test]
fn what_is_wrapped_keeps_its_origin_and_its_verdict() {
    outside(407, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        let html = "<p>x</p>".to_owned();
        let place = contract_transport::rule::Place::Append;
        let action = Action::Disclaimer { html, place, fallback: Default::default() };
        let wraps = rule("d", vec![], vec![action]);
        world.node.transport.create_rule(&Actor::System, wraps).await.unwrap();
        let junk = junk_field("x");
        for (to, field, expect) in [
            ("printer@x.test", INSIDE_FIELD, "DKIM-Signature: "),
            ("junk@x.test", junk.as_str(), junk.as_str()),
        ] {
            let sealed = "From: alice@rialto.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/signed; boundary=b; protocol=\"x/y\"\r\n\r\n--b\r\n\r\n\
                 plain\r\n--b\r\nContent-Type: x/y\r\n\r\nsig\r\n--b--\r\n";
            let mut submission = raw(&world, "alice@rialto.test", &[to], sealed).await;
            submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
            submission.content = submission.content.with_prefix(Bytes::from(field.to_owned()));
            submission.parsed = Arc::new(codec_mime::parse(format!("{field}{sealed}").as_bytes()));
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let taken = outside.taken();
            let taken = taken.iter().find(|one| one.recipients.contains(&to.to_owned())).unwrap();
            assert!(taken.front.starts_with(expect), "{to}: {taken:?}");
            assert!(taken.segments > 3, "it is wrapped: {taken:?}");
        }
    });
}

/// Mail that flows is worth more than a signature; who looks what happened sees why.
#[test]
fn attack_what_cannot_be_signed_goes_without() {
    outside(408, async |world, outside| {
        let key = made(&world, KeyAlgorithm::Rsa, 1).await;
        activate(&world, &key).await;
        let to = "a@x.test";
        let flood = "Cc: b@x.test\r\n".repeat(10_000);
        let message = format!("From: alice@rialto.test\r\n{flood}\r\nhello\r\n");
        let submission = raw(&world, "alice@rialto.test", &[to], &message).await;
        let queue = submission.queue;
        world.node.transport.accept(submission).await.unwrap();
        is_empty(&world).await;
        assert_eq!(outside.copies(to), 1);
        assert_eq!(outside.taken()[0].front, "", "nothing is in front");
        let story = world.node.transport.story(queue).await.unwrap();
        let transfer = story.iter().find(|one| one.event == Event::Transfer).unwrap();
        assert_eq!(transfer.reason, "not signed by rsa1: There are too many cc fields to sign");
    });
}
