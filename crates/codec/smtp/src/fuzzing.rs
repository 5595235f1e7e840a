//! What must hold for any bytes at all: one function per parser, called by the fuzz targets in
//! `fuzz/` and, with random bytes, by the tests.
//!
//! Each function panics when an invariant is broken; that is what a fuzzer looks for. Nothing
//! else calls them.

use bytes::{Bytes, BytesMut};

use crate::{
    Address, BdatDecoder, Command, DataDecoder, DataStatus, Dialect, DotStuffer, LineFramer,
    ReplyReader,
    sasl::{self, Login},
};

/// Commands: what parses prints as one line without control characters, and parses back to the
/// same value. The framer's buffer stays bounded.
pub fn command(data: &[u8]) {
    const LIMIT_BYTES: usize = 512;
    for smtputf8 in [false, true] {
        let dialect = Dialect { smtputf8 };
        let mut framer = LineFramer::new(LIMIT_BYTES);
        let mut buffer = BytesMut::new();
        for piece in data.chunks(7) {
            buffer.extend_from_slice(piece);
            loop {
                match framer.next_line(&mut buffer) {
                    Ok(Some(line)) => command_line(&line, dialect),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            assert!(buffer.len() <= LIMIT_BYTES, "buffer over its limit");
        }
        command_line(data, dialect);
    }
}

fn command_line(line: &[u8], dialect: Dialect) {
    match Command::parse(line, dialect) {
        Ok(command) => {
            let mut wire = BytesMut::new();
            command.encode(&mut wire);
            let printed = wire.strip_suffix(b"\r\n").unwrap_or_default();
            assert!(!printed.iter().any(u8::is_ascii_control), "control character printed");
            assert_eq!(Command::parse(printed, dialect), Ok(command), "round trip");
        }
        Err(error) => {
            let reply = error.reply().to_bytes();
            assert!(reply.starts_with(b"5") && reply.len() <= 512, "a refusal of one line");
        }
    }
}

/// The message after DATA: chunking does not matter, only CRLF.CRLF ends it, and it survives being
/// sent on. The first byte is the size of the chunks.
pub fn data_stream(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else {
        return;
    };
    let (whole, end) = decode(data, data.len().max(1));
    assert_eq!(decode(data, usize::from(step).max(1)), (whole.clone(), end), "chunking matters");
    let terminator = (0..data.len()).find_map(|at| {
        let ends = data[at..].starts_with(b".\r\n") && (at == 0 || data[..at].ends_with(b"\r\n"));
        ends.then_some(at + 3)
    });
    assert_eq!(end, terminator, "wrong end of data");

    // Sent on: no bare line end leaves, and what arrives is the same with its line ends repaired.
    let (mut stuffer, mut wire) = (DotStuffer::new(), Vec::new());
    for piece in whole.chunks(usize::from(step).max(1)) {
        stuffer.push(&Bytes::copy_from_slice(piece), &mut wire);
    }
    stuffer.finish(&mut wire);
    let wire = wire.concat();
    let lone = |at: usize| match wire[at] {
        b'\r' => wire.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || wire[at - 1] != b'\r',
        _ => false,
    };
    assert!(!(0..wire.len()).any(lone), "a bare line end left");
    let (arrived, end) = decode(&wire, wire.len());
    assert_eq!(end, Some(wire.len()), "the end is at the end");
    assert_eq!(arrived, repaired(&whole), "changed on the way");
}

/// The message in BDAT chunks: however it is cut into chunks and reads, it arrives as it was sent,
/// and line ends that stand alone are found. The first byte is the size of the chunks.
pub fn chunks(data: &[u8]) {
    let Some((&step, message)) = data.split_first() else {
        return;
    };
    let step = usize::from(step).max(1);
    let lone = |at: usize| match message[at] {
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || message[at - 1] != b'\r',
        _ => false,
    };
    let has_bare = (0..message.len()).any(lone);
    for (chunk, read) in [(message.len().max(1), step), (step, step.div_ceil(2)), (1, 1)] {
        let mut decoder = BdatDecoder::new(message.len() as u64);
        let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
        for piece in message.chunks(chunk) {
            assert_eq!(decoder.begin(piece.len() as u64, false), Ok(()));
            let mut status = DataStatus::More;
            for bytes in piece.chunks(read) {
                assert_eq!(status, DataStatus::More, "the end came too early");
                buffer.extend_from_slice(bytes);
                status = decoder.decode(&mut buffer, &mut out);
            }
            assert_eq!(status, DataStatus::End);
        }
        assert_eq!(decoder.begin(0, true), Ok(()));
        assert_eq!(decoder.decode(&mut buffer, &mut out), DataStatus::End);
        assert!(buffer.is_empty() && decoder.is_complete());
        assert_eq!(out.concat(), message, "changed on the way");
        assert_eq!(decoder.has_bare_line_end(), has_bare, "line ends");
    }
}

/// The decoded message, and where in `data` its end was.
fn decode(data: &[u8], step: usize) -> (Vec<u8>, Option<usize>) {
    let mut decoder = DataDecoder::new(u64::MAX);
    let (mut buffer, mut out, mut fed) = (BytesMut::new(), Vec::new(), 0);
    for piece in data.chunks(step) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        if decoder.decode(&mut buffer, &mut out) == DataStatus::End {
            return (out.concat(), Some(fed - buffer.len()));
        }
        assert!(buffer.is_empty(), "input left before the end");
    }
    (out.concat(), None)
}

/// Every CRLF, CR and LF as CRLF, and one at the end: written as plainly as can be.
fn repaired(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = message.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Replies: what is read prints and reads back as the same.
pub fn reply(data: &[u8]) {
    let (mut reader, mut input) = (ReplyReader::new(), BytesMut::from(data));
    while let Ok(Some(reply)) = reader.next_reply(&mut input) {
        let wire = reply.to_bytes();
        assert!(wire.is_ascii(), "non-ASCII printed");
        let mut again = BytesMut::from(&wire[..]);
        assert_eq!(ReplyReader::new().next_reply(&mut again), Ok(Some(reply)), "round trip");
        assert!(again.is_empty(), "one reply printed as more");
    }
}

/// Addresses: what parses prints as one address of printable characters that parses back.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for utf8 in [false, true] {
        let Ok(address) = Address::parse(text, utf8) else {
            continue;
        };
        let printed = address.to_string();
        assert!(!printed.chars().any(char::is_control), "control character printed");
        assert!(printed.len() <= 254, "too long");
        assert!(utf8 || printed.is_ascii(), "non-ASCII let through");
        assert_eq!(Address::parse(&printed, utf8).as_ref(), Ok(&address), "round trip");
        assert!(address.same_mailbox(&address));
    }
}

/// SASL responses: names are printable, passwords hold no NUL, and nothing is shown.
pub fn sasl(data: &[u8]) {
    let mut login = Login::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Ok(response) = sasl::decode_line(line) else {
            continue;
        };
        assert_eq!(format!("{response:?}"), "[redacted]");
        let _ = login.answer(&response);
        plain(response.expose());
    }
    plain(data);
}

fn plain(response: &[u8]) {
    let Ok(credentials) = sasl::parse_plain(response) else {
        return;
    };
    let names = credentials.authzid.iter().chain([&credentials.authcid]);
    assert!(names.clone().all(|name| !name.is_empty() && !name.chars().any(char::is_control)));
    assert!(!credentials.password.expose().contains(&0), "NUL in a password");
}
