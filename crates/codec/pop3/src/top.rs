//! TOP: the header of a message, the blank line, and so many lines of its body (RFC 1939 §7).

use bytes::Bytes;

/// Cuts a message off behind the last line that is wanted. A message without a blank line is all
/// header.
#[derive(Debug, Clone)]
pub struct TopCut {
    in_header: bool,
    line: Line,
    lines_left: u64,
    done: bool,
}

/// What has come of the present line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Nothing,
    /// One CR.
    Cr,
    Something,
}

impl Line {
    /// The same with more bytes of it.
    fn with(self, bytes: &[u8]) -> Self {
        match (self, bytes) {
            (same, b"") => same,
            (Self::Nothing, b"\r") => Self::Cr,
            _ => Self::Something,
        }
    }
}

impl TopCut {
    /// At the start of a message, for so many lines of its body.
    #[must_use]
    pub fn new(lines: u64) -> Self {
        Self { in_header: true, line: Line::Nothing, lines_left: lines, done: false }
    }

    /// Whether nothing more is wanted.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// What is wanted of the next part of the message.
    pub fn take(&mut self, part: &Bytes) -> Bytes {
        if self.done {
            return Bytes::new();
        }
        let mut from = 0;
        while let Some(found) = part[from..].iter().position(|byte| *byte == b'\n') {
            let is_blank = self.line.with(&part[from..from + found]) != Line::Something;
            from += found + 1;
            self.line = Line::Nothing;
            if !self.in_header {
                self.lines_left -= 1;
            }
            self.in_header &= !is_blank;
            if !self.in_header && self.lines_left == 0 {
                self.done = true;
                return part.slice(..from);
            }
        }
        self.line = self.line.with(&part[from..]);
        part.clone()
    }
}
