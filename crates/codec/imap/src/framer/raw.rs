//! A complete command as it came: lines and literals, not yet parsed.

use bytes::Bytes;
use std::fmt;

/// A piece of a command. Text and literals alternate, and a complete command begins and ends with
/// text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A line, or the piece of it before a literal header, without header and line end.
    Text(Bytes),
    /// A literal that was collected.
    Literal { bytes: Bytes, binary: bool },
    /// A literal whose bytes were handed out in chunks.
    Streamed { len_bytes: u64, binary: bool },
}

/// A command (or the beginning of one, from [`crate::Framer::pending`]) cut out of the stream. May
/// hold credentials, so `Debug` shows sizes only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawCommand {
    parts: Vec<Part>,
}

impl RawCommand {
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn push(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Bytes held: lines and collected literals.
    pub fn len_bytes(&self) -> usize {
        self.parts.iter().map(Part::len_bytes).sum()
    }
}

impl Part {
    fn len_bytes(&self) -> usize {
        match self {
            Part::Text(bytes) | Part::Literal { bytes, .. } => bytes.len(),
            Part::Streamed { .. } => 0,
        }
    }
}

impl fmt::Debug for RawCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCommand")
            .field("parts", &self.parts.len())
            .field("len_bytes", &self.len_bytes())
            .finish()
    }
}
