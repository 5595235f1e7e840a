//! Entry points for fuzzing: each takes any bytes and panics if an invariant of the crate breaks.
//! The fuzz targets of `fuzz/` call them, and so do the tests.

use crate::capability::Capability;
use crate::command::Command;
use crate::status::{STATUS_BYTES_MAX, ServerLine, StatusLine};
use crate::stuff::Stuffer;
use crate::top::TopCut;
use crate::unstuff::{Unstuffed, Unstuffer};
use bytes::{Bytes, BytesMut};

/// Any bytes as a line of a client: what was understood survives printing and parsing again.
pub fn command(data: &[u8]) {
    if let Ok(command) = Command::parse(data) {
        let line = line_of(|out| command.encode(out));
        // A keyword and a number are printed no longer than they were read.
        assert_eq!(Command::parse(&line).as_ref(), Ok(&command), "{data:?}");
    }
}

/// Any bytes as a line of a server, and as words of ours.
pub fn reply(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let line = line_of(|out| StatusLine { ok: false, code: None, text: &text }.encode(out));
    assert!(line.len() <= STATUS_BYTES_MAX - 2 && !line.iter().any(u8::is_ascii_control));
    assert!(matches!(
        ServerLine::parse(&line),
        Some(ServerLine::Status { ok: false, code: None, .. })
    ));
    if let Some(ServerLine::Status { ok, code, text }) = ServerLine::parse(data) {
        line_of(|out| StatusLine { ok, code, text: &text }.encode(out));
    }
    let capability = Capability::parse(text.lines().next().unwrap_or_default());
    let line = line_of(|out| capability.encode(out));
    assert!(!line.iter().any(u8::is_ascii_control));
}

/// Any bytes as a message: it comes back whole, however it is cut, and nobody finds its end early.
pub fn message(data: &[u8]) {
    let whole = sent(data, data.len().max(1));
    for piece_bytes in [1, 2, 7] {
        assert_eq!(sent(data, piece_bytes), whole);
    }
    // For a client that takes CRLF alone for the end of a line.
    let strict = [b"\r\n", &whole[..]].concat();
    let end = strict.windows(5).position(|five| five == b"\r\n.\r\n");
    assert_eq!(end, Some(strict.len() - 5), "{data:?}");
    // For one that takes LF for it.
    let mut expected = data.to_vec();
    expected.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
    if !expected.is_empty() && !expected.ends_with(b"\r\n") {
        expected.extend_from_slice(b"\r\n");
    }
    for piece_bytes in [1, 3, whole.len()] {
        assert_eq!(received(&whole, piece_bytes), expected, "{data:?}");
    }
    top(data);
}

fn top(data: &[u8]) {
    let whole = cut(data, data.len().max(1), 2);
    assert!(data.starts_with(&whole));
    for piece_bytes in [1, 2, 5] {
        assert_eq!(cut(data, piece_bytes, 2), whole, "{data:?}");
    }
    assert_eq!(cut(data, 3, u64::MAX), data);
}

fn cut(data: &[u8], piece_bytes: usize, lines: u64) -> Vec<u8> {
    let mut cut = TopCut::new(lines);
    let pieces = data.chunks(piece_bytes).map(|piece| cut.take(&Bytes::copy_from_slice(piece)));
    pieces.collect::<Vec<_>>().concat()
}

fn line_of(print: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    print(&mut out);
    assert!(out.ends_with(b"\r\n"));
    out.truncate(out.len() - 2);
    out.freeze()
}

fn sent(data: &[u8], piece_bytes: usize) -> Vec<u8> {
    let (mut stuffer, mut out) = (Stuffer::new(), Vec::new());
    for piece in data.chunks(piece_bytes) {
        stuffer.push(&Bytes::copy_from_slice(piece), &mut out);
    }
    stuffer.finish(&mut out);
    out.concat()
}

fn received(wire: &[u8], piece_bytes: usize) -> Vec<u8> {
    let (mut unstuffer, mut input) = (Unstuffer::new(u64::MAX), BytesMut::new());
    let (mut message, mut pieces) = (Vec::new(), wire.chunks(piece_bytes));
    loop {
        match unstuffer.next(&mut input) {
            Unstuffed::Part(part) => message.extend_from_slice(&part),
            Unstuffed::NeedMore => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => unreachable!("every message has an end"),
            },
            Unstuffed::End => break,
            Unstuffed::TooLong => unreachable!("there is no limit"),
        }
    }
    assert!(input.is_empty() && pieces.next().is_none(), "nothing follows the end");
    message
}
