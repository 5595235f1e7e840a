//! The attack cases (docs/testing.md) that concern this crate; 28 is with the values it is about.

use crate::parse;
use bytes::BytesMut;
use codec_imap::client::ResponseReader;
use codec_imap::command::CommandBody;
use codec_imap::framer::Refused;
use codec_imap::response::{ListItem, StatusResponse};
use codec_imap::{
    Capability, Code, Flag, FrameError, FrameEvent, Framer, IdRange, Limits, ParseErrorKind,
    Response, Status, Tag,
};

#[test]
fn attack_22_huge_literals_are_refused_before_buffering() {
    let start = |text: &str| {
        let mut framer = Framer::new(Limits::PRE_AUTH);
        let mut buffer = BytesMut::from(format!("a LOGIN {text}\r\n").as_bytes());
        let event = framer.next(&mut buffer);
        assert!(buffer.is_empty() && buffer.capacity() < 4096);
        (framer, event)
    };
    for text in ["{4294967295}", "{9223372036854775807}", "{1073741824}"] {
        let (mut framer, event) = start(text);
        assert!(matches!(event, Ok(FrameEvent::Literal(offer)) if !offer.fits && offer.sync));
        assert!(!framer.accept());
        assert_eq!(framer.refuse(), Refused::Continue);
        let mut next = BytesMut::from(&b"b NOOP\r\n"[..]);
        assert!(matches!(framer.next(&mut next), Ok(FrameEvent::Command(_))));
    }
    for text in ["{18446744073709551616}", "{9223372036854775808}", "{99999999999999999999999999}"]
    {
        assert_eq!(start(text).1, Err(FrameError::LiteralSize));
    }
    // LITERAL+: the client sends it whatever the answer.
    let (mut framer, event) = start("{1073741824+}");
    assert!(matches!(event, Ok(FrameEvent::Literal(offer)) if !offer.fits && !offer.sync));
    assert!(!framer.accept());
    assert_eq!(framer.refuse(), Refused::Close);
    let mut more = BytesMut::from(&b"xxxx"[..]);
    assert_eq!(framer.next(&mut more), Err(FrameError::Closed));
    let error = start("{18446744073709551616+}").1.expect_err("out of range");
    assert!(error == FrameError::LiteralSizeUnskippable && error.is_fatal());
}

#[test]
fn attack_23_many_literals_before_authentication() {
    let mut framer = Framer::new(Limits::PRE_AUTH);
    let mut wire = b"a ID (".to_vec();
    for _ in 0..10_000 {
        wire.extend_from_slice(b"{1+}\r\nx ");
    }
    wire.extend_from_slice(b")\r\nb NOOP\r\n");
    let mut buffer = BytesMut::from(&wire[..]);
    let (mut accepted, mut errors) = (0, 0);
    loop {
        match framer.next(&mut buffer) {
            Ok(FrameEvent::Literal(_)) => {
                assert!(framer.accept());
                accepted += 1;
            }
            Err(FrameError::TooManyLiterals) => errors += 1,
            Ok(FrameEvent::Command(raw)) => {
                assert_eq!(raw.len_bytes(), 6, "the command behind it");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((accepted, errors), (16, 1));
}

#[test]
fn attack_24_deep_search() {
    for opening in ["(", "NOT ", "OR ALL ", "NOT ("] {
        let deep = format!("a SEARCH {}ALL", opening.repeat(100_000));
        let error = parse(&deep).expect_err("too deep");
        assert_eq!(error.kind, ParseErrorKind::TooMuch);
        assert!(error.to_string().contains("nesting of search keys"), "{error}");
    }
    let usual = format!("a SEARCH {}ALL", "OR SEEN ".repeat(128));
    assert!(parse(&usual).is_ok());
    let fetch = format!("a FETCH 1 {}", "(".repeat(100_000));
    assert!(parse(&fetch).is_err());
}

#[test]
fn attack_24_deep_responses() {
    let mut wire = b"* 1 FETCH ".to_vec();
    wire.extend(std::iter::repeat_n(b'(', 100_000));
    wire.extend_from_slice(b"\r\n");
    assert!(ResponseReader::new(100).next(&mut BytesMut::from(&wire[..])).is_err());
}

#[test]
fn attack_25_sequence_sets() {
    let set = |text: &str| match parse(&format!("a COPY {text} x")).expect(text).body {
        CommandBody::Copy(copy) => copy.set,
        other => panic!("{other:?}"),
    };
    let many = set(&vec!["1:*"; 100_000].join(","));
    assert_eq!(many, set("1:*"), "folded while read");
    assert_eq!(many.resolve(5).ranges(), [IdRange { first: 1, last: 5 }]);
    let all = set(&vec!["1:4294967295"; 100_000].join(","));
    assert_eq!(all.fixed().ranges().len(), 1);
    assert_eq!(all.resolve(9).within(1, 9).count(), 9, "walked over what exists");
    assert_eq!(set("*:4294967295").resolve(5).ranges(), [IdRange { first: 5, last: u32::MAX }]);
    assert_eq!(set("9:3"), set("3:9"));
    assert_eq!(set("*:3"), set("3:*"));
    let overlapping = (0..30_000).map(|n| format!("{}:{}", 60_000 - n, 60_001 - n));
    assert_eq!(set(&overlapping.collect::<Vec<_>>().join(",")), set("30001:60001"));
    for bad in ["0", "0:1", "1:0", "", ",", "1,,2", "1:2:3", "-1", "4294967296", "**", "1:**"] {
        assert!(parse(&format!("a COPY {bad} x")).is_err(), "{bad}");
    }
}

#[test]
fn attack_26_sections_and_partials() {
    let path = "1.".repeat(10_000);
    for item in ["BODY[{}1]", "BODY.PEEK[{}1]", "BODY[{}MIME]", "BODY[{}TEXT]<0.9>", "BODY[{}"] {
        let deep = format!("a FETCH 1 {}", item.replace("{}", &path));
        assert_eq!(parse(&deep).expect_err(item).kind, ParseErrorKind::TooMuch, "{item}");
    }
    assert!(parse("a FETCH 1 BODY[]<0.4294967295>").is_ok());
    assert!(parse("a FETCH 1 BODY[]<9223372036854775807.9223372036854775807>").is_ok());
    for bad in ["9223372036854775808.1", "0.18446744073709551616", "-1.5", "5", "5.", ".5"] {
        assert!(parse(&format!("a FETCH 1 BODY[]<{bad}>")).is_err(), "{bad}");
    }
    assert!(parse("a FETCH 1 BODY[4294967296]").is_err());
    let many = format!("a FETCH 1 (UID{})", " BODY[]".repeat(9_000));
    assert_eq!(parse(&many).expect_err("too many").kind, ParseErrorKind::TooMuch);
}

#[test]
fn attack_29_nothing_breaks_out_of_a_response() {
    let evil = "x] y\r\n* BYE gone\0\u{e9}\" \\ (";
    let name = format!("A{evil}");
    let tag = Tag::new("t]").expect("a tag");
    let responses: [&dyn Fn(&mut BytesMut); 7] = [
        &|out| Response::Enabled(&[Capability::Other(evil.into()), Capability::Idle]).encode(out),
        &|out| {
            let item =
                ListItem { attributes: &[], delimiter: Some('\r'), name: &name, child_info: &[] };
            Response::List(item).encode(out);
        },
        &|out| Response::Status(&name, &[]).encode(out),
        &|out| Response::Id(&[(evil, Some(evil))]).encode(out),
        &|out| Response::Flags(&[Flag::Keyword(evil.into()), Flag::Seen]).encode(out),
        &|out| {
            let code = Some(Code::BadCharset(&[evil]));
            StatusResponse { tag: Some(&tag), status: Status::No, code, text: evil }.encode(out);
        },
        &|out| codec_imap::response::put_continuation(out, evil),
    ];
    for print in responses {
        let mut out = BytesMut::new();
        print(&mut out);
        let text = format!("{out:?}");
        let mut reader = ResponseReader::new(1000);
        assert!(matches!(reader.next(&mut out), Ok(Some(_))), "{text}");
        assert!(out.is_empty(), "more than one response: {text}");
    }
}

#[test]
fn attack_29_tags_are_checked_before_they_are_echoed() {
    for text in
        ["a\rb NOOP", "a\"b NOOP", "a(b NOOP", "a\\b NOOP", "a{b NOOP", "a\u{e9} NOOP", "a%b NOOP"]
    {
        let limits = Limits::PRE_AUTH;
        let mut buffer = BytesMut::from(format!("{text}\r\n").as_bytes());
        match Framer::new(limits).next(&mut buffer) {
            Err(FrameError::ControlByte) => {}
            Ok(FrameEvent::Command(raw)) => {
                let error = codec_imap::Command::parse(&raw).expect_err(text);
                assert_eq!((error.kind, error.tag), (ParseErrorKind::BadTag, None), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}
