//! Entry points for fuzzing: each takes any bytes and panics if an invariant of the crate breaks. The
//! fuzz targets of `fuzz/` call them, and so does the test that replays a small corpus.

use crate::client::{ResponseReader, ServerResponse};
use crate::command::{Command, is_append_message};
use crate::framer::{FrameEvent, Framer, Limits, RawCommand, Refused};
use crate::value::{Tag, mutf7};
use crate::wire::LiteralForm;
use bytes::BytesMut;

/// Small, so that a fuzzer reaches the limits.
const SMALL: Limits =
    Limits { line_bytes: 1024, literal_bytes: 4096, literals: 16, skip_bytes: 8192 };
/// For what was printed: expanded macros and strings turned into literals make a command longer.
const LARGE: Limits = Limits {
    line_bytes: 1024 * 1024,
    literal_bytes: 1024 * 1024,
    literals: 1024 * 1024,
    skip_bytes: 0,
};

/// What the framer made of some bytes, independent of how they were cut.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trace {
    commands: Vec<RawCommand>,
    errors: Vec<&'static str>,
    broken_tags: Vec<Option<Tag>>,
    streamed: Vec<u8>,
}

/// Any bytes: framing and parsing do not panic, and what was understood survives printing and
/// parsing again.
pub fn command(data: &[u8]) {
    for raw in trace(data, data.len().max(1), false, SMALL).commands {
        match Command::parse(&raw) {
            Ok(command) => round_trip(&command),
            Err(error) => {
                let text = error.to_string();
                assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "unprintable: {text:?}");
                assert!(error.offset_bytes <= raw.len_bytes());
            }
        }
    }
}

fn round_trip(command: &Command) {
    let mut wire = BytesMut::new();
    command.encode(&mut wire, LiteralForm::NonSync);
    let again = trace(&wire, wire.len(), false, LARGE);
    assert_eq!(again.errors, Vec::<&str>::new(), "{command:?}");
    assert_eq!(again.commands.len(), 1, "{command:?}");
    assert_eq!(Command::parse(&again.commands[0]).as_ref(), Ok(command));
}

/// Any bytes: the framer gives the same whether they come at once, byte by byte or in sevens, and
/// never holds more than its limits.
pub fn framer(data: &[u8]) {
    for stream in [false, true] {
        let whole = trace(data, data.len().max(1), stream, SMALL);
        assert_eq!(trace(data, 1, stream, SMALL), whole);
        assert_eq!(trace(data, 7, stream, SMALL), whole);
    }
}

/// Feeds the bytes in pieces and does with each literal what a session would.
fn trace(data: &[u8], piece_bytes: usize, stream: bool, limits: Limits) -> Trace {
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::new();
    let mut trace = Trace::default();
    let mut streamed = Vec::new();
    for piece in data.chunks(piece_bytes) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer) {
                Ok(FrameEvent::NeedMore) => break,
                Ok(FrameEvent::Literal(_)) if stream && is_append_message(framer.pending()) => {
                    framer.stream();
                }
                Ok(FrameEvent::Literal(offer)) => {
                    let accepted = framer.accept();
                    assert_eq!(accepted, offer.fits);
                    if !accepted && framer.refuse() == Refused::Close {
                        trace.errors.push("closed");
                        return trace;
                    }
                }
                Ok(FrameEvent::Chunk(chunk)) => streamed.extend_from_slice(&chunk),
                Ok(FrameEvent::Command(raw)) => {
                    let most = limits.line_bytes as u64 + limits.literal_bytes;
                    assert!(raw.len_bytes() as u64 <= most);
                    trace.commands.push(raw);
                    trace.streamed.append(&mut streamed);
                }
                Err(error) if error.is_fatal() => {
                    trace.errors.push("fatal");
                    return trace;
                }
                Err(_) => {
                    trace.streamed.append(&mut streamed);
                    trace.errors.push("error");
                    trace.broken_tags.push(framer.take_broken_tag());
                }
            }
        }
    }
    trace
}

/// Any bytes as responses of a server: reading does not panic and does not depend on the pieces.
pub fn response(data: &[u8]) {
    assert_eq!(responses(data, 1), responses(data, data.len().max(1)));
}

fn responses(data: &[u8], piece_bytes: usize) -> Vec<ServerResponse> {
    let mut reader = ResponseReader::new(1024 * 1024);
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for piece in data.chunks(piece_bytes) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next(&mut buffer) {
                Ok(Some(response)) => found.push(response),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

/// Any bytes as a mailbox name: what decodes encodes to the same bytes, and any text survives both.
pub fn utf7(data: &[u8]) {
    if let Ok(name) = mutf7::decode(data) {
        assert_eq!(mutf7::encode(&name).as_bytes(), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let wire = mutf7::encode(text);
        assert!(wire.bytes().all(|b| matches!(b, b' '..=b'~')));
        assert_eq!(mutf7::decode(wire.as_bytes()).as_deref(), Ok(text));
    }
}
