//! Messages made fit for hosts that take less.

use codec_mime::convert::{Converter, Impossible, Survey, Target, whole};
use codec_mime::decode::TransferDecoder;
use codec_mime::generate::{self, Shape};
use codec_mime::{Part, PartKind, encoded_word, parse};
use proptest::prelude::*;

fn converted(message: &str, target: Target) -> Result<String, Impossible> {
    whole(message.as_bytes(), target).map(|out| String::from_utf8_lossy(&out).into_owned())
}

fn check(message: &str, expect: &str) {
    assert_eq!(converted(message, Target::SevenBit).as_deref(), Ok(expect), "{message:?}");
}

/// The content of each leaf, decoded, depth first; a message/global is one.
fn contents(bytes: &[u8]) -> Vec<Vec<u8>> {
    fn walk(part: &Part, bytes: &[u8], found: &mut Vec<Vec<u8>>) {
        match &part.kind {
            PartKind::Multipart(children) => {
                children.iter().for_each(|child| walk(child, bytes, found));
            }
            PartKind::Message { part, .. } => walk(part, bytes, found),
            PartKind::Leaf => {
                let body = &bytes[part.body.start as usize..part.body.end as usize];
                let (mut decoder, mut out) =
                    (TransferDecoder::new(part.transfer_encoding()), Vec::new());
                decoder.push(body, &mut out);
                decoder.finish(&mut out);
                found.push(out);
            }
        }
    }
    let mut found = Vec::new();
    walk(&parse(bytes).root, bytes, &mut found);
    found
}

#[test]
fn text_is_quoted_and_all_else_is_base64() {
    check(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\nX: y\r\n\r\ngrün = 1 \r\nok\r\n",
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\nX: y\r\n\r\ngr=C3=BCn =3D 1=20\r\nok\r\n",
    );
    check(
        "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         ü\n\r\0",
        "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         w7wKDQA=\r\n",
    );
}

#[test]
fn what_is_not_declared_is_declared_unknown() {
    check(
        "Subject: x\r\n\r\ngrün\r\n",
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n",
    );
    check(
        "Mime-version: 1.0\r\nContent-type: text/html;\r\n\r\ngrün",
        "Mime-version: 1.0\r\nContent-type: text/html;\r\n charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn=\r\n",
    );
}

#[test]
fn only_what_does_not_fit_is_changed() {
    check(
        "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\
         mime-version:1.0\r\n\r\npreämble\r\n--b\r\nContent-Type:  text/plain\r\n\r\nplain\r\n\
         --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Subject: in\r\nMIME-Version: 1.0\r\n\r\nà\r\n--b\r\n\r\n\
         é\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\
         mime-version:1.0\r\n\r\npre??mble\r\n--b\r\nContent-Type:  text/plain\r\n\r\nplain\r\n\
         --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
         Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A0\r\n--b\r\n\
         Content-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n--b--\r\n",
    );
    let plain = "Subject: x\n\r\n\r\nplain\r\n".replace("\n\r\n\r\n", "\r\n\r\n");
    check(&plain, &plain);
}

#[test]
fn what_is_wrongly_encoded_is_encoded_again() {
    check(
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Dü=\r\nb\r\n",
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n\
         a=3D=C3=BCb\r\n",
    );
}

#[test]
fn what_cannot_be_converted_says_why() {
    let check = |message: &str, expect| {
        assert_eq!(converted(message, Target::SevenBit), Err(expect), "{message:?}");
    };
    let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\nà\r\n--s\r\n\r\nsig\r\n--s--\r\n";
    check(signed, Impossible::Signed);
    let inside =
        format!("Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n{signed}\r\n--o--\r\n");
    check(&inside, Impossible::Signed);
    check("Content-Type: message/partial; id=a\r\n\r\nà\r\n", Impossible::Opaque);
    check("Content-Transfer-Encoding: x-uue\r\n\r\nà\r\n", Impossible::Opaque);
    check("Content-Type: multipart/mixed\r\n\r\nà\r\n", Impossible::Opaque);
    check("To: jürg@example.org\r\n\r\nx\r\n", Impossible::Address);
    check("To: A <jürg@example.org>\r\n\r\nx\r\n", Impossible::Address);
    check("Message-ID: <ü@x>\r\n\r\nx\r\n", Impossible::Address);
    check("no field ü\r\n\r\nx\r\n", Impossible::Header);
}

#[test]
fn signed_parts_beside_others_keep_every_octet() {
    let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\nplain  \r\n--s\r\n\r\nsig\r\n--s--\r\n";
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n{signed}\r\n\
         --o\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nü\r\n--o--\r\n"
    );
    let out = converted(&message, Target::SevenBit).unwrap();
    assert!(out.contains(signed) && out.contains("=C3=BC"), "{out}");
}

#[test]
fn fields_become_encoded_words() {
    let check = |field: &str, expect: &str| {
        let message = format!("{field}\r\n\r\nx\r\n");
        let expect = format!("{expect}\r\n\r\nx\r\n");
        for target in [Target::SevenBit, Target::AsciiHeader] {
            assert_eq!(converted(&message, target).as_deref(), Ok(&*expect), "{field:?}");
        }
    };
    check("Subject:  grün", "Subject: =?UTF-8?B?Z3LDvG4=?=");
    check("To: Jürg <j@x>, b@x", "To: =?UTF-8?B?SsO8cmc=?= <j@x>, b@x");
    check("To: \"J\\\"ü, x\" <j@x>", "To: =?UTF-8?B?SiLDvCwgeA==?= <j@x>");
    check(
        "Cc: a@x (grün), Grüppe: b@x;",
        "Cc: a@x (=?UTF-8?B?Z3LDvG4=?=), =?UTF-8?B?R3LDvHBwZQ==?= : b@x;",
    );
    check(
        "Content-Disposition: attachment; filename=\"grün.txt\"; size=3",
        "Content-Disposition: attachment; filename*=utf-8''gr%C3%BCn.txt; size=3",
    );
    check("Received: from ü by b for <jürg@x>; now", "Received: from ?? by b ; now");
    let latin = whole(b"Subject: gr\xfcn\r\n\r\nx\r\n", Target::SevenBit).unwrap();
    assert_eq!(latin, b"Subject: =?unknown-8bit?B?Z3L8bg==?=\r\n\r\nx\r\n");
    let long = format!("Subject: {}", "ü".repeat(400));
    let out = converted(&format!("{long}\r\n\r\nx\r\n"), Target::AsciiHeader).unwrap();
    assert!(out.lines().all(|line| line.len() <= 82), "{out}");
    let subject = parse(out.as_bytes()).envelope.subject.unwrap();
    assert_eq!(encoded_word::decode(&subject), "ü".repeat(400));
    let name = format!("Content-Type: x/y; name=\"{}\"", "ü".repeat(90));
    let out = converted(&format!("{name}\r\n\r\nx\r\n"), Target::AsciiHeader).unwrap();
    let params = parse(out.as_bytes()).root.content_type.params;
    assert_eq!(codec_mime::params::decoded(&params, "name").unwrap(), "ü".repeat(90));
}

#[test]
fn a_header_alone_leaves_the_body_as_it_is() {
    let out = converted("Subject: ü\r\n\r\nà\r\n", Target::AsciiHeader);
    assert_eq!(out.as_deref(), Ok("Subject: =?UTF-8?B?w7w=?=\r\n\r\nà\r\n"));
}

#[test]
fn binary_becomes_lines() {
    let message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
                   Content-Transfer-Encoding: binary\r\n\r\n--b\r\n\
                   Content-Transfer-Encoding: binary\r\n\r\nclean à\r\n--b\r\n\
                   Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\r\n--b--";
    let expect = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\nclean à\r\n--b\r\n\
                  Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAoN\r\n--b--\r\n";
    assert_eq!(converted(message, Target::Lines).as_deref(), Ok(expect));
}

#[test]
fn headers_become_lines() {
    let check = |message: &str, expect: &str| {
        assert_eq!(converted(message, Target::Lines).as_deref(), Ok(expect));
    };
    check("Subject: a\0b\r\n\r\nx\r\n", "Subject: a?b\r\n\r\nx\r\n");
    check(
        "Subject: a\0b\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n",
        "Subject: a?b\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\nx\r\n",
    );
    let long = format!("Subject: {}\r\n\r\nx\r\n", "a".repeat(1_200));
    let out = converted(&long, Target::Lines).unwrap();
    assert!(out.lines().all(|line| line.len() <= 998), "{out}");
}

/// What must hold of any message.
fn hold(message: &[u8]) {
    let Ok(out) = whole(message, Target::SevenBit) else { return };
    assert!(out.is_ascii(), "{}", out.escape_ascii());
    let (before, after) = (contents(message), contents(&out));
    // The last line of the message may be ended.
    let is_same = |(one, other): (&Vec<u8>, &Vec<u8>)| {
        one == other || other.strip_suffix(b"\r\n") == Some(&one[..])
    };
    assert_eq!(before.len(), after.len(), "{}", out.escape_ascii());
    let same = before.iter().zip(&after).all(is_same);
    assert!(same, "{}\n{}", message.escape_ascii(), out.escape_ascii());
    let again = whole(&out, Target::SevenBit);
    assert!(again.as_ref() == Ok(&out), "{} {}", out.escape_ascii(), again.is_ok());
}

/// Some octets of the message changed, so that it does not fit.
fn spoilt(mut message: Vec<u8>, places: &[(usize, u8)]) -> Vec<u8> {
    for (at, octet) in places {
        let length = message.len().max(1);
        if let Some(place) = message.get_mut(at % length) {
            *place = *octet;
        }
    }
    message
}

fn octet() -> impl Strategy<Value = u8> {
    prop_oneof![0x80_u8..=0xff, Just(0), Just(b'\n'), Just(b'\r'), Just(b'=')]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn contents_stay_and_the_rest_fits(
        seed in any::<u64>(),
        places in proptest::collection::vec((any::<usize>(), octet()), 0..8),
    ) {
        hold(&spoilt(generate::to_vec(seed, generate::realistic_shape(seed)), &places));
        hold(&spoilt(generate::to_vec(seed, Shape::Junk { bytes: 900 }), &places));
    }

    #[test]
    fn it_does_not_matter_how_it_is_cut(seed in any::<u64>(), size in 1..200_usize) {
        let shape = if seed % 2 == 0 { Shape::EightBit } else { Shape::Junk { bytes: 900 } };
        let message = generate::to_vec(seed, shape);
        for target in [Target::SevenBit, Target::AsciiHeader, Target::Lines] {
            let parsed = parse(&message);
            let mut survey = Survey::new(&parsed, target);
            message.chunks(size).for_each(|piece| survey.push(piece));
            let out = survey.finish().map(|plan| {
                let (mut converter, mut out) = (Converter::new(plan), Vec::new());
                message.chunks(size).for_each(|piece| converter.push(piece, &mut out));
                converter.finish(&mut out);
                out
            });
            prop_assert_eq!(out, whole(&message, target));
        }
    }
}
