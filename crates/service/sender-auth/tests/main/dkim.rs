//! DKIM: the examples of the RFCs, and what a signature must and must not survive.

use base::env::sim::SimDns;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use service_sender_auth::dkim::{
    BodyHash, Canonical, Kind, PublicKey, Signature, Signer, SigningKey, fetch_key, header_input,
};
use service_sender_auth::header::Header;
use std::sync::LazyLock;

/// RFC 8463 appendix A.
pub(crate) const RFC_8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

/// The keys to [`RFC_8463`].
pub(crate) const RFC_8463_KEYS: [(&str, &str); 2] = [
    (
        "brisbane._domainkey.football.example.com",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ),
    (
        "test._domainkey.football.example.com",
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5q\
         hdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4h\
         stT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    ),
];

pub(crate) static ED25519: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::new_ed25519().unwrap());

pub(crate) fn split(message: &str) -> (&str, &str) {
    message.split_at(message.find("\r\n\r\n").unwrap() + 4)
}

fn body_hash(body: &[u8], canonical: Canonical, limit: Option<u64>, piece: usize) -> [u8; 32] {
    let mut hash = BodyHash::new(canonical, limit);
    body.chunks(piece).for_each(|piece| hash.push(piece));
    hash.finish().0
}

/// Whether each signature of a message holds, with a key that is found by `key`.
pub(crate) fn holds(message: &str, key: impl Fn(&Signature) -> PublicKey) -> Vec<bool> {
    let (header, body) = split(message);
    let header = Header::new(Bytes::from(header.to_owned()));
    let each = header.named("dkim-signature").map(|own| {
        let signature = Signature::parse(own.value, Kind::Dkim).unwrap();
        let body = body_hash(body.as_bytes(), signature.body_canonical, signature.body_bytes, 7);
        let input = header_input(&header, &signature, own);
        body[..] == signature.body_hash[..]
            && key(&signature).verifies(&input, &signature.signature)
    });
    each.collect()
}

pub(crate) fn sign(message: &str, key: &SigningKey, selector: &str) -> String {
    let key = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    let signer = Signer { domain: "rialto.test".into(), selector: selector.into(), key };
    let (header, body) = split(message);
    let hash = body_hash(body.as_bytes(), Canonical::Relaxed, None, 4096);
    let header = Header::new(Bytes::from(header.to_owned()));
    signer.field(&header, &hash, 1_700_000_000).unwrap() + message
}

#[tokio::test]
async fn the_examples_of_rfc_8463_verify() {
    let dns = SimDns::default();
    for (name, record) in RFC_8463_KEYS {
        dns.set_texts(name, &[record]);
    }
    let mut keys = Vec::new();
    for field in Header::new(RFC_8463.into()).named("dkim-signature") {
        let signature = Signature::parse(field.value, Kind::Dkim).unwrap();
        keys.push((signature.selector.clone(), fetch_key(&dns, &signature).await.unwrap()));
    }
    let key = |signature: &Signature| {
        keys.iter().find(|(selector, _)| *selector == signature.selector).unwrap().1.clone()
    };
    assert_eq!(holds(RFC_8463, key), [true, true]);
    assert_eq!(holds(&RFC_8463.replace("dinner", "supper"), key), [false, false]);
    assert_eq!(holds(&RFC_8463.replace("lost", "won"), key), [false, false]);
    assert_eq!(
        holds(&RFC_8463.replace("lost the game.  Are", "lost the game. Are"), key),
        [true; 2]
    );
    // A From field that is added is one more than was signed.
    let forged = RFC_8463.replace("\r\n\r\nHi", "\r\nFrom: evil@example.com\r\n\r\nHi");
    assert_eq!(holds(&forged, key), [false, false]);
}

#[test]
fn bodies_are_made_canonical_as_in_rfc_6376() {
    let check = |body: &str, canonical: Canonical, expected: &str| {
        for piece in [1, 2, 3, 1000] {
            let hash = body_hash(body.as_bytes(), canonical, None, piece);
            let expected =
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, expected.as_bytes());
            assert_eq!(hash[..], *expected.as_ref(), "{body:?} by {piece}, {canonical:?}");
        }
    };
    // §3.4.5
    check(" C \r\nD \t E\r\n\r\n\r\n", Canonical::Relaxed, " C\r\nD E\r\n");
    check(" C \r\nD \t E\r\n\r\n\r\n", Canonical::Simple, " C \r\nD \t E\r\n");
    for canonical in [Canonical::Relaxed, Canonical::Simple] {
        check("a\r\n\r\nb\r\n", canonical, "a\r\n\r\nb\r\n");
        check("a", canonical, "a\r\n");
        check("a\r\r\n\rb\r", canonical, "a\r\r\n\rb\r\r\n");
        check("a\nb\r\n", canonical, "a\nb\r\n");
    }
    check(" \t\r\n \r\n", Canonical::Relaxed, "");
    check(" \r\n", Canonical::Relaxed, "");
    check(" \r\n a\r\n \t", Canonical::Relaxed, "\r\n a\r\n");
    check("", Canonical::Relaxed, "");
    check("", Canonical::Simple, "\r\n");
    check("\r\n\r\n", Canonical::Simple, "\r\n");
    let base64 = |canonical| STANDARD.encode(body_hash(b"", canonical, None, 1));
    assert_eq!(base64(Canonical::Relaxed), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(base64(Canonical::Simple), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
    let long = body_hash(b"12345678\r\n", Canonical::Simple, Some(4), 3);
    assert_eq!(long[..], *aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"1234").as_ref());
}

#[test]
fn headers_are_made_canonical_as_in_rfc_6376() {
    let header = Header::new(Bytes::from_static(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n"));
    let write = |canonical: Canonical| {
        let mut out = Vec::new();
        for name in ["a", "b"] {
            header.named(name).for_each(|field| canonical.field(field, &mut out));
        }
        String::from_utf8(out).unwrap()
    };
    assert_eq!(write(Canonical::Relaxed), "a:X\r\nb:Y Z\r\n");
    assert_eq!(write(Canonical::Simple), "A: X\r\nB : Y\t\r\n\tZ  \r\n");
}

#[test]
fn what_is_no_signature_is_told() {
    let good = "v=1; a=rsa-sha256; d=a.test; s=x; h=from; bh=AAAA; b=AAAA";
    let check = |value: &str, reason: &str| {
        let read = Signature::parse(value.as_bytes(), Kind::Dkim);
        match read {
            Ok(_) => assert_eq!(reason, "", "{value}"),
            Err(error) => {
                assert!(!reason.is_empty() && error.reason.contains(reason), "{value}: {error:?}")
            }
        }
    };
    check(good, "");
    check(&good.replace("v=1; ", ""), "version");
    check(&good.replace("v=1", "v=2"), "version");
    check(&good.replace("rsa-sha256", "md5"), "algorithm");
    check(&good.replace("h=from", "h=subject"), "From");
    check(&good.replace("s=x", "s=x y;z=(\""), "");
    check(&good.replace("d=a.test", "d=a..test"), "no key");
    check(&good.replace("d=a.test", "d=a.test; d=b.test"), "cannot be read");
    check(&good.replace("bh=AAAA", "bh=*"), "hash");
    check(&(good.to_owned() + "; i=@b.test"), "not of the domain");
    check(&(good.to_owned() + "; i=x@sub.a.test"), "");
    check(&(good.to_owned() + "; i=@xa.test"), "not of the domain");
    check(&(good.to_owned() + "; l=99999999999999999999"), "too long");
    check(&(good.to_owned() + "; c=relaxed/other"), "c=");
    check("", "no key");
    check("\u{fc}", "cannot be read");
    let timely = |tags: &str, now| {
        let value = format!("{good}; {tags}");
        Signature::parse(value.as_bytes(), Kind::Dkim).unwrap().is_timely(now)
    };
    assert!(timely("t=100; x=200", 200) && !timely("t=100; x=200", 201));
    assert!(!timely("t=300; x=200", 150) && !timely("t=1000", 100) && timely("t=1000", 900));
}

#[test]
fn keys_are_read_as_they_are_published() {
    let key = RFC_8463_KEYS[0].1.rsplit_once("p=").unwrap().1;
    let check = |record: &str, usable: bool| {
        assert_eq!(PublicKey::parse(record.as_bytes()).is_ok(), usable, "{record}");
    };
    check(&format!("k=ed25519; p={key}"), true);
    check(&format!("v=DKIM1; k=ed25519; s=*; p={key}"), true);
    check(&format!("v=DKIM1; k=ed25519; s=other:email; h=sha256; p={key}"), true);
    check(&format!("v=DKIM1; k=ed25519; s=other; p={key}"), false);
    check(&format!("k=ed25519; v=DKIM1; p={key}"), false);
    check(&format!("v=DKIM2; k=ed25519; p={key}"), false);
    check(&format!("v=DKIM1; k=other; p={key}"), false);
    check("v=DKIM1; k=ed25519; p=AAAA", false);
    check("v=DKIM1; p=", false);
    check("v=spf1 -all", false);
    // attack 18: keys of 16,384 bits take long, and nobody has one.
    check(&format!("v=DKIM1; p={}", "A".repeat(3000)), false);
}

#[test]
fn every_kind_of_key_signs_what_its_record_verifies() {
    let message = "From: a@rialto.test\r\nTo: b@x.test\r\nSubject: hello\r\n\r\nbody\r\n";
    let rsa = SigningKey::new_rsa().unwrap();
    for key in [&*ED25519, &rsa] {
        let signed = sign(message, key, "s1");
        let record = key.record().unwrap();
        let public = |_: &Signature| PublicKey::parse(record.as_bytes()).unwrap();
        assert_eq!(holds(&signed, public), [true], "{signed}");
        // Oversigned: none of these can be added, wherever.
        for name in ["From", "To", "Subject", "Reply-To", "Content-Type", "Cc"] {
            let more = signed.replace("\r\n\r\nbody", &format!("\r\n{name}: x@y\r\n\r\nbody"));
            assert_eq!(holds(&more, public), [false], "{name} below");
            assert_eq!(holds(&format!("{name}: x@y\r\n{signed}"), public), [false], "{name} above");
        }
        assert!(signed.lines().all(|line| line.len() <= 78), "{signed}");
        assert_eq!(holds(&format!("Received: by mx\r\n{signed}"), public), [true]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_breaks_a_signature_and_white_space_does_not(
        subject in "[a-zA-Z0-9 ]{1,60}",
        lines in proptest::collection::vec("[a-z \t]{0,30}", 0..12),
        place in any::<prop::sample::Index>(),
    ) {
        let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let message = format!("From: a@rialto.test\r\nSubject: x{subject}y\r\n\r\n{body}.\r\n");
        let signed = sign(&message, &ED25519, "s1");
        let record = ED25519.record().unwrap();
        let key = |_: &Signature| PublicKey::parse(record.as_bytes()).unwrap();
        prop_assert_eq!(holds(&signed, key), vec![true]);
        let wider = signed.replace("From: ", "FROM:\r\n\t ").replace(".\r\n", ". \t\r\n\r\n");
        if !signed.contains("..") {
            prop_assert_eq!(holds(&wider, key), vec![true]);
        }
        // Only letters: what stands for white space may change without being another message.
        let from = signed.find("From:").unwrap();
        let letters: Vec<usize> = signed
            .char_indices()
            .filter(|(at, c)| *at >= from + 5 && c.is_ascii_alphanumeric())
            .map(|(at, _)| at)
            .collect();
        let at = letters[place.index(letters.len())];
        let mut changed = signed.clone().into_bytes();
        changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
        let changed = String::from_utf8(changed).unwrap();
        let survives = holds(&changed, key);
        // The name of a field is no letter of its value: then the field is signed as missing.
        prop_assert_eq!(survives, vec![false]);
    }

    #[test]
    fn a_body_has_one_hash_however_it_comes(
        body in proptest::collection::vec(prop::sample::select(&b"a \t\r\n"[..]), 0..200),
        sizes in proptest::collection::vec(1_usize..20, 1..20),
        limit in proptest::option::of(0_u64..100),
    ) {
        for canonical in [Canonical::Simple, Canonical::Relaxed] {
            let mut hash = BodyHash::new(canonical, limit);
            let (mut rest, mut sizes) = (&body[..], sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                hash.push(piece);
                rest = later;
            }
            prop_assert_eq!(hash.finish().0, body_hash(&body, canonical, limit, 1000));
        }
    }

    #[test]
    fn nothing_that_comes_in_makes_a_reader_panic(bytes in any::<Vec<u8>>(), text in "[-a-z0-9=;: .\r\n\t%{}]{0,200}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            for kind in [Kind::Dkim, Kind::ArcMessage, Kind::ArcSeal] {
                let _ = Signature::parse(bytes, kind);
            }
            let _ = PublicKey::parse(bytes);
            let _ = service_sender_auth::dmarc::Record::parse(bytes);
            let _ = service_sender_auth::strip::strip(Bytes::copy_from_slice(bytes), &[]);
            let header = Header::new(Bytes::copy_from_slice(bytes));
            let _ = header.named("from").count();
        }
    }
}
