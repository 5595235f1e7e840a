//! Tests of the IMAP codec: tables from the specifications, round trips, malformed input, attacks.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod commands;
mod corpus;
mod framing;
mod generate;
mod properties;
mod responses;
mod values;

use bytes::BytesMut;
use codec_imap::{Command, FrameEvent, Framer, Limits, ParseError, RawCommand};

/// Cuts one command out of the bytes; literals are collected.
fn raw(wire: &[u8]) -> RawCommand {
    let limits = Limits {
        line_bytes: 64 * 1024 * 1024,
        literal_bytes: 64 * 1024 * 1024,
        literals: 1_000_000,
        skip_bytes: 0,
    };
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::from(wire);
    loop {
        match framer.next(&mut buffer).expect("framed") {
            FrameEvent::Literal(_) => assert!(framer.accept()),
            FrameEvent::Command(raw) => {
                assert!(buffer.is_empty(), "left over: {buffer:?}");
                return raw;
            }
            other => panic!("no complete command: {other:?}"),
        }
    }
}

/// Parses one command given without its line end.
fn parse(text: &str) -> Result<Command, ParseError> {
    Command::parse(&raw(format!("{text}\r\n").as_bytes()))
}
