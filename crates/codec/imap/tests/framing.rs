//! The framer: events, refusals, limits, line ends.

use bytes::BytesMut;
use codec_imap::Names;
use codec_imap::command::{AppendData, append_head};
use codec_imap::framer::{LiteralOffer, Refused};
use codec_imap::{Command, CommandBody, FrameError, FrameEvent, Framer, Limits};

fn framer() -> Framer {
    Framer::new(Limits::AUTHENTICATED)
}

fn offer(framer: &mut Framer, buffer: &mut BytesMut) -> LiteralOffer {
    match framer.next(buffer) {
        Ok(FrameEvent::Literal(offer)) => offer,
        other => panic!("expected a literal, found {other:?}"),
    }
}

fn command(framer: &mut Framer, buffer: &mut BytesMut) -> Command {
    match framer.next(buffer) {
        Ok(FrameEvent::Command(raw)) => Command::parse(&raw).expect("parsed"),
        other => panic!("expected a command, found {other:?}"),
    }
}

fn assert_next_is_noop(framer: &mut Framer, buffer: &mut BytesMut) {
    assert_eq!(command(framer, buffer).body, CommandBody::Noop);
    assert_eq!(framer.next(buffer), Ok(FrameEvent::NeedMore));
    assert!(framer.is_between_commands());
}

#[test]
fn pipelined_commands_come_one_by_one() {
    let mut buffer = BytesMut::from(&b"a NOOP\r\nb CAPABILITY\r\nc NOOP\r"[..]);
    let mut framer = framer();
    assert_eq!(command(&mut framer, &mut buffer).body, CommandBody::Noop);
    assert_eq!(command(&mut framer, &mut buffer).body, CommandBody::Capability);
    assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::NeedMore));
    buffer.extend_from_slice(b"\n");
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn bare_lf_ends_a_line_and_a_literal_header() {
    let mut buffer = BytesMut::from(&b"a LOGIN joe {3}\nabc\nb NOOP\n"[..]);
    let mut framer = framer();
    assert_eq!(offer(&mut framer, &mut buffer).len_bytes, 3);
    assert!(framer.accept());
    assert_eq!(command(&mut framer, &mut buffer).body.name(), "LOGIN");
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn synchronising_literal_waits_for_the_session() {
    let mut buffer = BytesMut::from(&b"a LOGIN {3}\r\n"[..]);
    let mut framer = framer();
    let first = offer(&mut framer, &mut buffer);
    assert!(first.sync && first.fits && !first.binary);
    assert_eq!(offer(&mut framer, &mut buffer), first, "the offer stands until it is answered");
    assert!(framer.accept());
    assert!(!framer.accept(), "an offer is answered once");
    assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::NeedMore));
    buffer.extend_from_slice(b"joe {4+}\r\nword\r\n");
    assert!(!offer(&mut framer, &mut buffer).sync);
    assert!(framer.accept());
    match command(&mut framer, &mut buffer).body {
        CommandBody::Login(login) => {
            assert_eq!(login.user, "joe");
            assert_eq!(login.password.expose(), "word");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn attack_22_a_command_that_is_given_up_keeps_its_tag() {
    let check = |input: &[u8], error: FrameError, tag: Option<&str>| {
        for step in [1, 7, input.len()] {
            let mut framer = framer();
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for piece in input.chunks(step) {
                buffer.extend_from_slice(piece);
                loop {
                    match framer.next(&mut buffer) {
                        Ok(FrameEvent::NeedMore) => break,
                        Ok(FrameEvent::Literal(_)) if found.is_empty() => framer.stream(),
                        Ok(_) => {}
                        Err(error) => {
                            let tag = framer.take_broken_tag().map(|tag| tag.to_string());
                            found.push((error, tag));
                        }
                    }
                }
            }
            assert_eq!(found, [(error, tag.map(str::to_owned))], "in steps of {step}");
            buffer.extend_from_slice(b"z NOOP\r\n");
            assert_next_is_noop(&mut framer, &mut buffer);
        }
    };
    let long = |head: &str| [head.as_bytes(), &[b'x'; 70_000], b"\r\n"].concat();
    check(&long("a1 FETCH "), FrameError::LineTooLong, Some("a1"));
    check(&long("a1"), FrameError::LineTooLong, None);
    check(&long("* FETCH "), FrameError::LineTooLong, None);
    // The rest of a long line is looked through for a literal that comes without being let.
    let literal = [&long("a2 LOGIN ")[..70_000], b"{9+}\r\nb NOOP\r\n!\r\n"].concat();
    check(&literal, FrameError::LineTooLong, Some("a2"));
    // A later line of a command.
    let later = [b"a3 APPEND INBOX {3+}\r\nabc ", &long("")[..]].concat();
    check(&later, FrameError::LineTooLong, Some("a3"));
    check(b"a4 NO\0OP\r\n", FrameError::ControlByte, Some("a4"));
    check(b"a\x005 NOOP\r\n", FrameError::ControlByte, None);
    check(b"a6 LOGIN {99999999999999999999}\r\n", FrameError::LiteralSize, Some("a6"));
    check(b"a7 APPEND INBOX {3+}\r\na\0b\r\n", FrameError::NulInLiteral, Some("a7"));
}

#[test]
fn append_is_streamed_in_chunks() {
    let mut framer = framer();
    let mut buffer = BytesMut::from(&b"a APPEND {4}\r\n"[..]);
    offer(&mut framer, &mut buffer);
    assert_eq!(append_head(framer.pending(), Names::Utf7), None, "that is the name of the mailbox");
    assert!(framer.accept());
    buffer.extend_from_slice(b"Sent (\\Seen) \" 1-Feb-2026 10:00:00 +0100\" {1000000}\r\nabc");
    assert_eq!(offer(&mut framer, &mut buffer).len_bytes, 1_000_000);
    let (tag, head) = append_head(framer.pending(), Names::Utf7).expect("the message");
    assert_eq!((tag.to_string().as_str(), head.mailbox.as_str()), ("a", "Sent"));
    assert_eq!(head.options.date.expect("a date").to_unix_seconds(), 1_769_936_400);
    framer.stream();
    let mut sent = 3;
    let mut received = 0;
    loop {
        match framer.next(&mut buffer).expect("streaming") {
            FrameEvent::NeedMore if sent < 1_000_000 => {
                let piece = 4096.min(1_000_000 - sent);
                buffer.extend_from_slice(&vec![b'x'; piece]);
                sent += piece;
            }
            FrameEvent::NeedMore => buffer.extend_from_slice(b"\r\nb NOOP\r\n"),
            FrameEvent::Chunk(chunk) => received += chunk.len(),
            FrameEvent::Command(raw) => {
                assert!(raw.len_bytes() < 100, "the message is not in the command");
                match Command::parse(&raw).expect("parsed").body {
                    CommandBody::Append(append) => {
                        let [message] = &append.messages[..] else { panic!("{append:?}") };
                        let streamed = AppendData::Streamed { len_bytes: 1_000_000 };
                        assert_eq!((&message.data, &message.options), (&streamed, &head.options));
                        assert_eq!(append.mailbox, head.mailbox);
                    }
                    other => panic!("{other:?}"),
                }
                break;
            }
            FrameEvent::Literal(offer) => panic!("{offer:?}"),
        }
    }
    assert_eq!(received, 1_000_000);
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn a_refused_literal_leaves_both_sides_in_step() {
    // Synchronising: the client never sends it.
    let mut framer = framer();
    let mut buffer = BytesMut::from(&b"a SELECT {9999999}\r\nb NOOP\r\n"[..]);
    assert!(!offer(&mut framer, &mut buffer).fits);
    assert!(!framer.accept());
    assert_eq!(framer.refuse(), Refused::Continue);
    assert_next_is_noop(&mut framer, &mut buffer);
    // Not synchronising: it comes, and more of the command after it.
    buffer.extend_from_slice(b"a RENAME {300000+}\r\n");
    assert!(!offer(&mut framer, &mut buffer).fits);
    assert_eq!(framer.refuse(), Refused::Continue);
    for _ in 0..300 {
        buffer.extend_from_slice(&[b'\n'; 1000]);
        assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::NeedMore));
        assert!(buffer.is_empty(), "skipped bytes are not kept");
    }
    buffer.extend_from_slice(b" {3+}\r\na\nb\r\nb NOOP\r\n");
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn a_streamed_message_can_be_refused_midway() {
    let mut framer = framer();
    let mut buffer = BytesMut::from(&b"a APPEND x {10}\r\n01234"[..]);
    offer(&mut framer, &mut buffer);
    framer.stream();
    assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::Chunk("01234".into())));
    assert_eq!(framer.refuse(), Refused::Continue);
    buffer.extend_from_slice(b"56789\r\nb NOOP\r\n");
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn nul_passes_only_in_a_literal8() {
    let mut framer = framer();
    let mut buffer = BytesMut::from(&b"a NO\0OP\r\nb LOGIN \0 {3+}\r\nx\r\n\r\nb NOOP\r\n"[..]);
    assert_eq!(framer.next(&mut buffer), Err(FrameError::ControlByte));
    assert_eq!(framer.next(&mut buffer), Err(FrameError::ControlByte));
    assert_next_is_noop(&mut framer, &mut buffer);

    buffer.extend_from_slice(b"a APPEND x {5+}\r\nab\0cd\nb NOOP\r\n");
    offer(&mut framer, &mut buffer);
    framer.stream();
    assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::Chunk("ab".into())));
    assert_eq!(framer.next(&mut buffer), Err(FrameError::NulInLiteral));
    assert_next_is_noop(&mut framer, &mut buffer);

    buffer.extend_from_slice(b"a APPEND x ~{5+}\r\nab\0cd\r\n");
    assert!(offer(&mut framer, &mut buffer).binary);
    framer.stream();
    assert_eq!(framer.next(&mut buffer), Ok(FrameEvent::Chunk("ab\0cd".into())));
    assert_eq!(command(&mut framer, &mut buffer).body.name(), "APPEND");

    buffer.extend_from_slice(b"a LOGIN {3+}\r\na\0b c\r\n");
    offer(&mut framer, &mut buffer);
    assert!(framer.accept());
    match framer.next(&mut buffer) {
        Ok(FrameEvent::Command(raw)) => {
            let error = Command::parse(&raw).expect_err("NUL in a string");
            assert_eq!(error.what, "a string without NUL");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_at_the_limit_passes_and_one_above_does_not() {
    let limits = Limits { line_bytes: 10, ..Limits::AUTHENTICATED };
    for (line, passes) in [
        ("a LOGIN x\r\n", true),
        ("a LOGIN xy\r\n", true),
        ("a LOGIN xy\n", true),
        ("a LOGIN xyz\n", false),
        ("a LOGIN xyz\r\n", false),
    ] {
        for piece in [1, 100] {
            let (mut framer, mut buffer) = (Framer::new(limits), BytesMut::new());
            let mut found = Vec::new();
            for bytes in line.as_bytes().chunks(piece) {
                buffer.extend_from_slice(bytes);
                match framer.next(&mut buffer) {
                    Ok(FrameEvent::NeedMore) => {}
                    Ok(FrameEvent::Command(_)) => found.push(true),
                    Err(FrameError::LineTooLong) => found.push(false),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(found, [passes], "{line:?} in pieces of {piece}");
        }
    }
}

#[test]
fn the_line_limit_counts_all_lines_of_a_command() {
    let limits = Limits { line_bytes: 20, ..Limits::AUTHENTICATED };
    let (mut framer, mut buffer) =
        (Framer::new(limits), BytesMut::from(&b"a LOGIN {1+}\r\nx {1+}\r\ny          .\r\n"[..]));
    offer(&mut framer, &mut buffer);
    assert!(framer.accept());
    offer(&mut framer, &mut buffer);
    assert!(framer.accept());
    assert_eq!(framer.next(&mut buffer), Err(FrameError::LineTooLong));
    buffer.extend_from_slice(b"b NOOP\r\n");
    assert_next_is_noop(&mut framer, &mut buffer);
}

#[test]
fn bare_lines_between_commands() {
    let mut framer = framer();
    let mut buffer = BytesMut::from(&b"dGVzdA=={3}\r\nDO"[..]);
    assert_eq!(framer.next_line(&mut buffer), Ok(Some("dGVzdA=={3}".into())));
    assert_eq!(framer.next_line(&mut buffer), Ok(None));
    buffer.extend_from_slice(b"NE\r\na SELECT {1}\r\n");
    assert_eq!(framer.next_line(&mut buffer), Ok(Some("DONE".into())));
    offer(&mut framer, &mut buffer);
    assert_eq!(framer.next_line(&mut buffer), Err(FrameError::NotBetweenCommands));
    framer.reset();
    buffer.extend_from_slice(&vec![b'x'; 70_000]);
    assert_eq!(framer.next_line(&mut buffer), Err(FrameError::LineTooLong));
    assert_eq!(framer.next_line(&mut buffer), Err(FrameError::Closed));
    assert_eq!(framer.next(&mut buffer), Err(FrameError::Closed));
}

#[test]
fn raw_commands_do_not_show_credentials() {
    let mut buffer = BytesMut::from(&b"a LOGIN joe secret-word\r\n"[..]);
    let event = framer().next(&mut buffer);
    assert!(!format!("{event:?}").contains("secret"));
}
