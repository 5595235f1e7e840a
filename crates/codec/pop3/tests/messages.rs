//! Messages on the wire, in all cuts: dots, line ends, the end, and TOP.

use bytes::{Bytes, BytesMut};
use codec_pop3::unstuff::Unstuffed;
use codec_pop3::{Stuffer, TopCut, Unstuffer, fuzzing};

fn check(message: &'static [u8], wire: &[u8]) {
    for step in 1..=message.len().max(1) {
        let (mut stuffer, mut out) = (Stuffer::new(), Vec::new());
        for piece in message.chunks(step) {
            stuffer.push(&Bytes::from_static(piece), &mut out);
        }
        stuffer.finish(&mut out);
        assert_eq!(out.concat(), wire, "{:?} by {step}", String::from_utf8_lossy(message));
    }
    fuzzing::message(message);
}

#[test]
fn dots_are_doubled_at_every_cut() {
    check(b"", b".\r\n");
    check(b"a\r\n", b"a\r\n.\r\n");
    check(b".a\r\n.\r\n..\r\n", b"..a\r\n..\r\n...\r\n.\r\n");
    check(b"a.b\r\n.\r\nc\r\n", b"a.b\r\n..\r\nc\r\n.\r\n");
    check(b"\r\n\r\n.", b"\r\n\r\n..\r\n.\r\n");
}

#[test]
fn a_last_line_without_an_end_gets_one() {
    check(b"a", b"a\r\n.\r\n");
    check(b".", b"..\r\n.\r\n");
    check(b"a\r", b"a\r\r\n.\r\n");
    check(b"a\n", b"a\n\r\n.\r\n");
}

#[test]
fn attack_02_no_message_ends_early_for_any_client() {
    check(b"a\n.\nb\r\n", b"a\n..\nb\r\n.\r\n");
    check(b"a\n.\r\n+OK evil\r\n", b"a\n..\r\n+OK evil\r\n.\r\n");
    check(b"a\r.\r\nb\r\n", b"a\r.\r\nb\r\n.\r\n");
    check(b"a\0b\r\n", b"a\x80b\r\n.\r\n");
}

#[test]
fn clean_input_is_not_copied() {
    let input = Bytes::from(b"0123456789abcdef\r\n".repeat(1000));
    let mut out = Vec::new();
    Stuffer::new().push(&input, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr(), input.as_ptr());
}

#[test]
fn a_reader_takes_one_message_and_no_more() {
    let (mut unstuffer, mut input) = (Unstuffer::new(5), BytesMut::from(&b"a\r\n.\r\n+OK"[..]));
    assert_eq!(unstuffer.next(&mut input), Unstuffed::Part(Bytes::from_static(b"a\r\n")));
    assert_eq!(unstuffer.next(&mut input), Unstuffed::End);
    assert_eq!(&input[..], b"+OK");
    let (mut unstuffer, mut input) = (Unstuffer::new(5), BytesMut::from(&b"abcdef"[..]));
    assert_eq!(unstuffer.next(&mut input), Unstuffed::TooLong);
}

#[test]
fn top() {
    let check = |message: &'static [u8], lines, expect: &[u8]| {
        for step in 1..=message.len().max(1) {
            let mut cut = TopCut::new(lines);
            let pieces = message.chunks(step).map(|piece| cut.take(&Bytes::from_static(piece)));
            let taken = pieces.collect::<Vec<_>>().concat();
            assert_eq!(taken, expect, "{:?} by {step}", String::from_utf8_lossy(message));
        }
        fuzzing::message(message);
    };
    check(b"", 1, b"");
    check(b"A: b\r\n\r\none\r\ntwo\r\n", 0, b"A: b\r\n\r\n");
    check(b"A: b\r\n\r\none\r\ntwo\r\n", 1, b"A: b\r\n\r\none\r\n");
    check(b"A: b\r\n\r\none\r\ntwo\r\n", 3, b"A: b\r\n\r\none\r\ntwo\r\n");
    check(b"A: b\r\n\r\n\r\ntwo\r\n", 1, b"A: b\r\n\r\n\r\n");
    check(b"A: b\r\nC: d", 1, b"A: b\r\nC: d");
    check(b"A: b\n\none\ntwo\n", 1, b"A: b\n\none\n");
    check(b"\r\none\r\ntwo", 1, b"\r\none\r\n");
    check(b"A\r\n\r\r\n\r\none\r\ntwo\r\n", 0, b"A\r\n\r\r\n\r\n");
    check(b"A\r\n\r\nno end", u64::MAX, b"A\r\n\r\nno end");
    let mut cut = TopCut::new(0);
    assert!(!cut.is_done());
    cut.take(&Bytes::from_static(b"\r\n"));
    assert!(cut.is_done());
    assert_eq!(cut.take(&Bytes::from_static(b"more")), Bytes::new());
}
