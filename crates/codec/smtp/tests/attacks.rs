//! The attack cases (docs/testing.md) that concern this crate and span more than one file; the others stand
//! beside the code (`data.rs`, `stuff.rs`, `bdat.rs`, `address.rs`, `xtext.rs`, `sasl/`).

use bytes::BytesMut;
use codec_smtp::{Command, CommandError, Dialect, LineError, LineFramer, framer::LINE_BYTES_MAX};

fn parse(line: &[u8]) -> Result<Command, CommandError> {
    Command::parse(line, Dialect { smtputf8: true })
}

#[test]
fn attack_03_bytes_behind_starttls_stay_where_the_session_can_discard_them() {
    let mut framer = LineFramer::new(LINE_BYTES_MAX);
    let mut input = BytesMut::from(&b"STARTTLS\r\nMAIL FROM:<evil@x>\r\n"[..]);
    let line = framer.next_line(&mut input).unwrap().unwrap();
    assert_eq!(parse(&line), Ok(Command::StartTls));
    assert_eq!(&input[..], b"MAIL FROM:<evil@x>\r\n");
    input.clear();
    framer.reset();
    assert_eq!(framer.next_line(&mut input), Ok(None));
}

#[test]
fn attack_05_a_chunk_size_beyond_u64_ends_the_session() {
    let error = parse(b"BDAT 18446744073709551616 LAST").unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(
        parse(b"BDAT 9223372036854775808"),
        Ok(Command::Bdat { size_bytes: 1 << 63, last: false })
    );
    // Whatever is wrong with the line, also what holds for every line.
    assert!(parse(b"BDAT 5\0").unwrap_err().is_fatal());
    assert!(parse(b"BDAT \xff").unwrap_err().is_fatal());
}

#[test]
fn attack_07_a_line_of_a_megabyte_costs_one_error_and_no_memory() {
    let mut framer = LineFramer::new(LINE_BYTES_MAX);
    let mut input = BytesMut::new();
    let mut errors = 0;
    for _ in 0..256 {
        input.extend_from_slice(&[b'A'; 4096]);
        match framer.next_line(&mut input) {
            Err(LineError::TooLong) => errors += 1,
            other => assert_eq!(other, Ok(None)),
        }
        assert!(input.len() <= LINE_BYTES_MAX);
    }
    assert_eq!(errors, 1);
    input.extend_from_slice(b"\r\nNOOP\r\n");
    let line = framer.next_line(&mut input).unwrap().unwrap();
    assert_eq!(parse(&line), Ok(Command::Noop));

    // A line the framer takes for the sake of AUTH is still too long for anything else.
    let long = [b"NOOP ", &b"A".repeat(4096)[..]].concat();
    assert_eq!(parse(&long), Err(CommandError::TooLong));
}

#[test]
fn attack_11_control_characters_never_get_into_a_value() {
    let lines = [
        "EHLO a?b",
        "HELO a?b",
        "MAIL FROM:<a?b@c>",
        "MAIL FROM:<\"a?b\"@c>",
        "MAIL FROM:<\"a\\?b\"@c>",
        "MAIL FROM:<a@b?c>",
        "MAIL FROM:<a@b> ENVID=a?b",
        "RCPT TO:<a?b@c>",
        "RCPT TO:<\"a?b\"@c>",
        "RCPT TO:<a@b> ORCPT=rfc822;a?b",
        "RCPT TO:<a@b>?DATA",
        "VRFY a?b",
        "XYZZY?",
    ];
    for line in lines {
        for control in ["\r", "\n", "\0", "\t", "\x7f", "\r\n"] {
            let line = line.replace('?', control);
            assert_eq!(parse(line.as_bytes()), Err(CommandError::ControlCharacter), "{line:?}");
        }
    }
    for encoded in ["+0D", "+0A", "+00", "+0d+0a", "+7F"] {
        for line in [
            format!("MAIL FROM:<a@b> ENVID=a{encoded}b"),
            format!("MAIL FROM:<a@b> AUTH=a{encoded}b"),
            format!("RCPT TO:<a@b> ORCPT=rfc822;a{encoded}b"),
        ] {
            let error = parse(line.as_bytes()).unwrap_err();
            assert!(matches!(error, CommandError::BadParameter(_)), "{line}: {error:?}");
        }
    }
    // C1 controls and line separators of Unicode are not letters either.
    for line in ["RCPT TO:<a\u{85}b@c>", "RCPT TO:<a@b\u{2028}c>", "RCPT TO:<\"a\u{9b}\"@c>"] {
        assert!(parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

#[test]
fn attack_11_our_own_values_can_not_inject_a_command() {
    let mut out = BytesMut::new();
    Command::Ehlo { name: "a\r\nQUIT".to_owned() }.encode(&mut out);
    Command::Unknown { verb: "X\nY".to_owned() }.encode(&mut out);
    assert_eq!(&out[..], b"EHLO aQUIT\r\nXY\r\n");
}

#[test]
fn attack_14_an_initial_response_is_bounded() {
    let long = [b"AUTH PLAIN ", &b"A".repeat(1 << 20)[..]].concat();
    assert_eq!(parse(&long), Err(CommandError::BadInitialResponse));
    assert_eq!(parse(b"AUTH PLAIN AGEA\0Yg=="), Err(CommandError::ControlCharacter));
}
