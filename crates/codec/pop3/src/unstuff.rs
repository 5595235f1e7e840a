//! A message as a client reads it: lines up to the one that is a dot, doubled dots made single.

use bytes::{Buf, Bytes, BytesMut};

/// Reads one message, or any other answer of several lines.
#[derive(Debug, Clone)]
pub struct Unstuffer {
    at_line_start: bool,
    bytes_max: u64,
    taken_bytes: u64,
}

/// What was found in the input so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unstuffed {
    /// The next part of the message.
    Part(Bytes),
    /// The end; what follows is the next answer.
    End,
    /// There must be more input first.
    NeedMore,
    /// The message is longer than the reader allows.
    TooLong,
}

impl Unstuffer {
    /// A reader for a message of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self { at_line_start: true, bytes_max, taken_bytes: 0 }
    }

    /// Takes what can be taken off the front of the input.
    pub fn next(&mut self, input: &mut BytesMut) -> Unstuffed {
        if self.at_line_start && input.first() == Some(&b'.') {
            match input.get(1..3) {
                Some(b"\r\n") => {
                    input.advance(3);
                    return Unstuffed::End;
                }
                Some(_) => input.advance(1),
                // `.` and perhaps `\r`, and it cannot be told yet.
                None => return Unstuffed::NeedMore,
            }
            self.at_line_start = false;
        }
        if input.is_empty() {
            return Unstuffed::NeedMore;
        }
        // Up to the end of the last line before one that begins with a dot.
        let mut end = 0;
        self.at_line_start = false;
        while let Some(found) = input[end..].iter().position(|byte| *byte == b'\n') {
            end += found + 1;
            if input.get(end).is_none_or(|byte| *byte == b'.') {
                self.at_line_start = true;
                break;
            }
        }
        if !self.at_line_start {
            end = input.len();
        }
        self.taken_bytes += end as u64;
        if self.taken_bytes > self.bytes_max {
            return Unstuffed::TooLong;
        }
        Unstuffed::Part(input.split_to(end).freeze())
    }
}
