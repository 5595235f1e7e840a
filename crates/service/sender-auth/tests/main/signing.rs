//! Signing as the transport service asks for it: what is signed, with what, and that others can
//! check it.

use crate::dkim::{holds, split};
use base::Timestamp;
use bytes::Bytes;
use contract_transport::signing::{
    Digest, DomainKey, KeyAlgorithm, KeyState, PrivateKey, Purpose, ReadKey, Signatures,
};
use proptest::prelude::*;
use service_sender_auth::Dkim;
use service_sender_auth::dkim::{PublicKey, SIGNED_FIELDS};
use std::sync::{Arc, LazyLock};

/// A key of each algorithm, and how it is checked.
static KEYS: LazyLock<Vec<(Arc<dyn ReadKey>, PublicKey)>> = LazyLock::new(|| {
    KeyAlgorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let key = made(algorithm);
            (Dkim.read(&key).unwrap(), PublicKey::parse(key.record.as_bytes()).unwrap())
        })
        .collect()
});

fn made(algorithm: KeyAlgorithm) -> DomainKey {
    let (private, record) = Dkim.generate(algorithm).unwrap();
    DomainKey {
        name: DomainKey::name_of("rialto.test", algorithm.word()),
        algorithm,
        private,
        record,
        state: KeyState::Active,
        created: Timestamp { unix_ms: 0 },
    }
}

fn digest(message: &[u8], piece: usize) -> Option<Digest> {
    let mut digesting = Dkim.begin(Purpose::Sign(Box::new(|domain| domain != "others.test")));
    message.chunks(piece.max(1)).for_each(|piece| digesting.push(&Bytes::copy_from_slice(piece)));
    digesting.finish()
}

fn at() -> Timestamp {
    Timestamp { unix_ms: 1_795_392_000_000 }
}

/// Signs with all keys, and checks every signature.
fn check_signed(stored: &str, leaves: &str, piece: usize) {
    let digest = digest(stored.as_bytes(), piece).unwrap();
    let fields: String = KEYS.iter().map(|(key, _)| key.sign(&digest, at()).unwrap()).collect();
    let held = holds(&(fields.clone() + leaves), |signature| {
        let place = KeyAlgorithm::ALL.iter().position(|one| one.word() == signature.selector);
        KEYS[place.unwrap()].1.clone()
    });
    assert_eq!(held, [true, true], "{fields}{leaves}");
}

const MESSAGE: &str = "Received: by x\r\nFrom: A <a@Rialto.test>\r\nTo: b@x.test\r\n\
    Subject: hi\r\n\r\nhello  there \r\n\r\n";

#[test]
fn both_algorithms_sign_whatever_the_pieces_are() {
    for piece in [1, 2, 3, 7, 1000] {
        check_signed(MESSAGE, MESSAGE, piece);
    }
    let bare = "From: a@rialto.test\r\n";
    check_signed(bare, &format!("{bare}\r\n"), 4);
}

/// A signature names every occurrence of what it signs, and must fit a row of the queue.
#[test]
fn attack_many_fields_make_no_endless_signature() {
    let check = |names: &[&str], occurrences: usize, is_signed: bool| {
        let mut message = "From: a@rialto.test\r\n".to_owned();
        for name in names {
            message.push_str(&format!("{name}: x\r\n").repeat(occurrences));
        }
        message.push_str("\r\nhello\r\n");
        let digest = digest(message.as_bytes(), 1 << 16).unwrap();
        for (key, _) in KEYS.iter() {
            let field = key.sign(&digest, at());
            assert_eq!(field.is_ok(), is_signed, "{names:?} {occurrences}: {field:?}");
            assert!(field.is_err() || field.unwrap().len() <= 8192);
        }
        if is_signed {
            check_signed(&message, &message, 1 << 16);
        }
    };
    let all = &SIGNED_FIELDS[1..];
    check(&["Cc"], 50, true);
    check(&["Cc"], 51, false);
    check(&["Subject"], 25_000, false);
    check(all, 40, true);
    check(all, 50, true);
    check(all, 51, false);
}

/// What is stored with other line ends leaves with the right ones, and those are signed.
#[test]
fn line_ends_are_signed_as_they_leave() {
    let stored = "From: a@rialto.test\r\nSubject: x\r\n\r\nunix\nmac\rend";
    let leaves = "From: a@rialto.test\r\nSubject: x\r\n\r\nunix\r\nmac\r\nend\r\n";
    for piece in [1, 2, 5, 100] {
        check_signed(stored, leaves, piece);
    }
}

/// Only a message that bears the name of one wanted domain beyond doubt is signed, and for that
/// domain.
#[test]
fn a_message_is_signed_for_the_domain_whose_name_it_bears() {
    let check = |header: &str, expect: Option<&str>| {
        for piece in [1, 1000] {
            let message = format!("{header}\r\nbody\r\n");
            let found = digest(message.as_bytes(), piece).map(|digest| digest.domain);
            assert_eq!(found.as_deref(), expect, "{header:?} by {piece}");
        }
    };
    check("From: a@rialto.test\r\n", Some("rialto.test"));
    check("From: <a@RIALTO.test>\r\nSender: b@other.test\r\n", Some("rialto.test"));
    check("From: a@rialto.test, b@rialto.test\r\n", Some("rialto.test"));
    check("From: a@b\u{fc}cher.test\r\n", Some("xn--bcher-kva.test"));
    check("From: a@one.test, b@two.test\r\nSender: c@rialto.test\r\n", Some("rialto.test"));
    check("From: a@one.test, b@two.test\r\n", None);
    check("From: a@one.test, b@two.test\r\nSender: c@x.test\r\nSender: d@x.test\r\n", None);
    check("From: a@one.test, b@two.test\r\nSender: c@x.test, d@x.test\r\n", None);
    check("From: a@rialto.test\r\nFrom: b@rialto.test\r\n", None);
    check("From: a@others.test\r\n", None);
    check("Sender: a@rialto.test\r\n", None);
    check("From: nobody\r\n", None);
    check("From\x01: a@rialto.test\r\n", None);
    check("", None);
}

/// RFC 6376 §8.15: a field that was signed, or could have been, cannot be added.
#[test]
fn nothing_that_is_shown_can_be_added() {
    let digest = digest(MESSAGE.as_bytes(), 100).unwrap();
    let (key, public) = &KEYS[0];
    let signed = key.sign(&digest, at()).unwrap() + MESSAGE;
    let holds = |message: &str| holds(message, |_| public.clone());
    assert_eq!(holds(&signed), [true]);
    let (header, body) = split(&signed);
    let names = "From To Cc Subject Date Message-ID Reply-To In-Reply-To References MIME-Version \
        Content-Type Content-Transfer-Encoding";
    for name in names.split_whitespace() {
        let more = format!(
            "{}{name}: x\r\n\r\n{body}",
            header.trim_end_matches("\r\n").to_owned() + "\r\n"
        );
        assert_eq!(holds(&more), [false], "{name}");
    }
    assert_eq!(holds(&signed.replace("there", "where")), [false]);
    // What others on the way may do is no harm.
    assert_eq!(holds(&format!("Received: by y\r\n{signed}")), [true]);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let check = |change: &dyn Fn(&mut DomainKey), is_fine: bool| {
        let mut key = made(KeyAlgorithm::Ed25519);
        change(&mut key);
        assert_eq!(Dkim.read(&key).is_ok(), is_fine, "{key:?}");
    };
    check(&|_| {}, true);
    check(&|key| key.algorithm = KeyAlgorithm::Rsa, false);
    check(&|key| key.private = PrivateKey(Bytes::from_static(b"no key")), false);
    check(&|key| key.private = PrivateKey(Bytes::new()), false);
}

#[test]
fn domains_are_called_as_the_dns_does() {
    let check = |domain: &str, expect: Option<&str>| {
        assert_eq!(Dkim.ascii(domain).as_deref(), expect, "{domain}");
    };
    check("Rialto.Test.", Some("rialto.test"));
    check("b\u{fc}cher.test", Some("xn--bcher-kva.test"));
    check("", None);
    check(".", None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the body is, and however it comes, the signature is over what leaves.
    #[test]
    fn what_leaves_is_what_was_signed(
        body in proptest::collection::vec(prop_oneof!["[ -~]{0,20}", Just("\r\n".to_owned()),
            Just("\n".to_owned()), Just("\r".to_owned()), Just(" \t".to_owned())], 0..12),
        piece in 1_usize..50,
    ) {
        let stored = format!("From: a@rialto.test\r\n\r\n{}", body.concat());
        let mut line_ends = codec_smtp::CrlfNormaliser::new();
        let mut out = Vec::new();
        line_ends.push(&Bytes::from(stored.clone()), &mut out);
        line_ends.finish(&mut out);
        let leaves = String::from_utf8(out.concat()).unwrap();
        check_signed(&stored, &leaves, piece);
    }
}
