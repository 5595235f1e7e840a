//! What is written: header fields, trace headers, reports, generated messages.

use codec_mime::build::{
    HeaderWriter, Mailbox, Received, content_disposition, message_id, received, return_path,
};
use codec_mime::generate::{self, Random, Shape};
use codec_mime::report::{Action, Outcome, Report, Returned};
use codec_mime::{
    Limits, PartKind, Scanner, SectionKind, SentAt, encoded_word, fuzzing, header, parse,
};

const AT: SentAt = SentAt { unix_seconds: 1_704_099_600, offset_minutes: 60 };

/// Every line ends in CRLF, is short enough, and is a field or continues one.
fn check_fields(fields: &[u8], expected: usize) {
    let text = std::str::from_utf8(fields).unwrap();
    assert!(text.ends_with("\r\n"));
    for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{text:?}");
        assert!(line.len() <= 998 && !line.trim().is_empty(), "{text:?}");
    }
    assert_eq!(header::fields(fields).filter(|field| !field.name.is_empty()).count(), expected);
}

#[test]
fn fields_are_folded_and_cannot_be_broken_out_of() {
    let hostile = "x\r\nBcc: evil@x\r\n\r\nbody\n\0\u{85}\u{2028}y";
    let mut writer = HeaderWriter::new();
    writer
        .text("Subject", hostile)
        .structured("X\r\nY: z", hostile)
        .structured("", "v")
        .structured("Empty", "")
        .addresses("To", &[Mailbox { name: Some(hostile), email: "a@b>\r\nCc: <c@d" }])
        .addresses("Cc", &[])
        .text("Long", &"wörter und mehr ".repeat(100))
        .structured("Unfoldable", &"x".repeat(5_000))
        .structured("Spaces", &format!("a{}b", " ".repeat(500)))
        .date("Date", AT);
    let fields = writer.fields();
    check_fields(&fields, 9);
    assert!(header::find(&fields, b"Bcc").is_none());
    let subject = header::find(&fields, b"Subject").unwrap();
    assert!(encoded_word::decode(&subject.text()).starts_with("x  Bcc: evil@x"));
    let long = header::find(&fields, b"Long").unwrap();
    assert_eq!(encoded_word::decode(&long.text()), "wörter und mehr ".repeat(100));
    assert!(long.value.split(|byte| *byte == b'\n').all(|line| line.len() <= 78));
}

#[test]
fn trace_fields() {
    let hop = Received {
        helo: "evil) by x; \r\nX: y",
        client_name: Some("client.example"),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        by: "mx.example.org",
        with: "ESMTPSA",
        tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        id: "q1",
        recipient: Some("a@b>\r\n"),
        at: AT,
    };
    let field = received(&hop);
    check_fields(&field, 1);
    let text = String::from_utf8(header::find(&field, b"received").unwrap().text().into_owned());
    assert_eq!(
        text.unwrap(),
        "from evil??by?x????X:?y (client.example [IPv6:2001:db8::1]) by mx.example.org with \
         ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) id q1 for <a@b>; Mon, 01 Jan 2024 10:00:00 +0100"
    );
    assert_eq!(return_path(None), b"Return-Path: <>\r\n");
    assert_eq!(return_path(Some("a@b>\r\nX: y")), b"Return-Path: <a@bX: y>\r\n");
    assert_eq!(message_id("a>b", "host"), "<a?b@host>");
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(&received(&hop).repeat(3));
    assert_eq!((scanner.received_fields(), scanner.header_complete()), (3, false));
    scanner.push(b"\r\nReceived: not\r\n");
    assert_eq!((scanner.received_fields(), scanner.header_complete()), (3, true));
}

#[test]
fn dispositions() {
    assert_eq!(content_disposition("attachment", "a b.pdf"), "attachment; filename=\"a b.pdf\"");
    assert_eq!(
        content_disposition("inline", "../ü\".pdf"),
        "inline; filename=\"__.pdf\"; filename*=UTF-8''%C3%BC_.pdf"
    );
}

fn report<'a>(recipients: &'a [Outcome<'a>], returned: Returned) -> Report<'a> {
    Report {
        from: Mailbox { name: Some("Mail System"), email: "mailer-daemon@example.org" },
        to: "sender@example.net",
        subject: "Undelivered: größer",
        message_id: "<r@example.org>",
        original_message_id: Some("<o@example.net>"),
        at: AT,
        boundary: "0123456789abcdef",
        text: "Your message\ncould not be delivered.\r\n.\n",
        reporting_mta: "mx.example.org",
        envelope_id: Some("env\r\nX: y"),
        arrived_at: Some(AT),
        recipients,
        returned,
    }
}

#[test]
fn reports() {
    let outcome = Outcome {
        original_recipient: Some("orig@example.org"),
        final_recipient: "user@example.org",
        action: Action::Failed,
        status: "5.1.1",
        remote_mta: Some("mx.other"),
        diagnostic: Some("550 5.1.1 no\r\nsuch user"),
        last_attempt_at: Some(AT),
        will_retry_until: None,
    };
    let recipients = [outcome.clone(), outcome.clone()];
    let original = b"Subject: o\r\nFrom: a@b\r\n\r\nbody\nbare\rlines\r\n";
    for (returned, kind) in
        [(Returned::Header, "text/rfc822-headers"), (Returned::Message, "message/rfc822")]
    {
        let bytes = report(&recipients, returned).build(original);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        fuzzing::scanner(&bytes);
        let message = parse(&bytes);
        assert!(message.root.content_type.is("multipart", "report"));
        let PartKind::Multipart(parts) = &message.root.kind else { panic!() };
        let kinds: Vec<String> = parts.iter().map(|p| p.content_type.media_type()).collect();
        assert_eq!(kinds, ["text/plain", "message/delivery-status", kind]);
        let status = message.section(&[2], SectionKind::Whole).unwrap();
        let status = &text[status.start as usize..status.end as usize];
        assert!(status.starts_with("Original-Envelope-Id: env  X: y\r\nReporting-MTA: dns; mx."));
        assert_eq!(status.matches("\r\n\r\nOriginal-Recipient: rfc822; orig@").count(), 2);
        assert!(status.contains("Diagnostic-Code: smtp; 550 5.1.1 no  such user\r\n"));
        let back = message.section(&[3], SectionKind::Whole).unwrap();
        let back = &text[back.start as usize..back.end as usize];
        assert!(back.starts_with("Subject: o\r\nFrom: a@b\r\n"));
        assert_eq!(back.contains("body"), returned == Returned::Message);
    }
    let foreign = [Outcome { final_recipient: "用户@example.org", ..outcome }];
    let bytes = report(&foreign, Returned::Message).build(original);
    let message = parse(&bytes);
    let kind = |path: &[u32]| message.part(path).unwrap().content_type.media_type();
    assert_eq!(kind(&[2]), "message/global-delivery-status");
    assert_eq!(kind(&[3]), "message/global");
}

/// Not every server takes eight bits, and nobody hears of a report that is refused.
#[test]
fn reports_in_other_languages_have_seven_bits() {
    let outcome = Outcome {
        original_recipient: None,
        final_recipient: "user@example.org",
        action: Action::Failed,
        status: "5.1.1",
        remote_mta: Some("mx.other"),
        diagnostic: Some("550 5.1.1 unbekannter Empf\u{e4}nger"),
        last_attempt_at: None,
        will_retry_until: None,
    };
    let recipients = [outcome];
    let long = "\u{e9}=".repeat(300);
    for (text, encoding) in [
        ("Ihre Nachricht\nging an keinen Empf\u{e4}nger. \r\n\u{fc}\n", "quoted-printable"),
        (&long, "quoted-printable"),
        ("Your message is lost.\n", "7bit"),
    ] {
        let bytes = Report { text, ..report(&recipients, Returned::Header) }
            .build(b"Subject: o\r\nFrom: a@b\r\n\r\nbody\r\n");
        assert!(bytes.is_ascii(), "{}", bytes.escape_ascii());
        assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
        let message = parse(&bytes);
        let part = message.part(&[1]).unwrap();
        let range = message.section(&[1], SectionKind::Whole).unwrap();
        let raw = &bytes[range.start as usize..range.end as usize];
        let whole = String::from_utf8(bytes.clone()).unwrap();
        assert!(whole.contains(&format!("Content-Transfer-Encoding: {encoding}\r\n")), "{whole}");
        let decoded = codec_mime::decode::whole(part.transfer_encoding(), raw);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            String::from_utf8(decoded).unwrap().trim_end_matches("\r\n"),
            lines.join("\r\n")
        );
    }
}

const SHAPES: [Shape; 14] = [
    Shape::Plain,
    Shape::EightBit,
    Shape::Alternative,
    Shape::Attachments { count: 3, bytes: 5_000 },
    Shape::Attachments { count: 200, bytes: 40_000 },
    Shape::Forwarded { depth: 4 },
    Shape::Invitation,
    Shape::Signed,
    Shape::Encrypted,
    Shape::Tnef,
    Shape::NestedMultiparts { depth: 20 },
    Shape::AddressFlood { lines: 50 },
    Shape::ParameterFlood { count: 50 },
    Shape::PartFlood { count: 50 },
];

#[test]
fn generated_messages_parse_as_what_they_are() {
    for shape in SHAPES {
        for seed in 0..4 {
            let data = generate::to_vec(seed, shape);
            assert_eq!(data, generate::to_vec(seed, shape));
            assert_ne!(data, generate::to_vec(seed + 100, shape));
            fuzzing::scanner(&data);
            let lines = data.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(data.windows(2).filter(|pair| pair == b"\r\n").count(), lines, "{shape:?}");
            let message = parse(&data);
            assert!(message.message_id.is_some() && message.sent_at.is_some(), "{shape:?}");
            let has = |kind: &str| {
                message.parts().iter().any(|(_, p)| p.content_type.media_type() == kind)
            };
            match shape {
                Shape::Attachments { count, .. } => {
                    let PartKind::Multipart(parts) = &message.root.kind else { panic!() };
                    assert_eq!(parts.len(), count + 1);
                    assert!(message.has_attachments());
                    assert!(parts[1].filename().is_some_and(|name| name.contains('.')));
                }
                Shape::Forwarded { .. } => assert!(message.part(&[2, 2, 2, 2, 1]).is_some()),
                Shape::Invitation => assert!(has("text/calendar") && !message.has_attachments()),
                Shape::Signed => assert!(has("application/pkcs7-signature")),
                Shape::Encrypted => assert!(has("application/pkcs7-mime")),
                Shape::Tnef => assert!(has("application/ms-tnef")),
                Shape::PartFlood { count } => assert_eq!(message.parts().len(), count),
                _ => {}
            }
        }
    }
}

#[test]
fn fifty_megabytes_flow_by() {
    let mut scanner = Scanner::new(Limits::default());
    let (mut most, mut size) = (0, 0_u64);
    generate::message(7, Shape::Attachments { count: 20, bytes: 37_000_000 }, |piece| {
        scanner.push(piece);
        size += piece.len() as u64;
        most = most.max(scanner.held_bytes());
    });
    let message = scanner.finish();
    assert!(size > 50_000_000);
    assert_eq!(message.size_bytes, size);
    assert_eq!(message.parts().len(), 23);
    assert!(most < 64 * 1024, "{most} octets held");
}

#[test]
fn random_numbers_are_the_published_ones() {
    // First values of splitmix64 for seed 1234567.
    let mut random = Random::new(1_234_567);
    assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    assert!((0..100).all(|_| random.below(7) < 7));
    assert_eq!(random.below(0), 0);
}
