//! Where the octets stand with respect to lines, and what of the current line is held.

/// Where the octets stand with respect to lines.
#[derive(Default)]
pub(super) struct Lines {
    /// Octets seen.
    pub(super) offset: u64,
    /// Line feeds seen before the current line.
    pub(super) count: u64,
    /// Where the current line starts.
    pub(super) start: u64,
    /// Octets (0, 1 or 2) of the line end before the current line.
    pub(super) last_end: u64,
    pub(super) last_byte: u8,
    /// Whether the current line is looked at, and what of it is held.
    pub(super) wanted: bool,
    pub(super) held: Vec<u8>,
    /// Whether octets other than white space did not fit into `held`.
    pub(super) cut: bool,
}

impl Lines {
    pub(super) fn hold(&mut self, piece: &[u8], most: usize) {
        let (head, cut) = piece.split_at(piece.len().min(most - self.held.len().min(most)));
        self.held.extend_from_slice(head);
        self.cut |= !cut.iter().all(u8::is_ascii_whitespace);
    }

    /// Moves past `piece`; gives the octets of the line end (1 or 2) where it has one, else 0.
    pub(super) fn advance(&mut self, piece: &[u8]) -> u64 {
        self.offset += piece.len() as u64;
        let before = std::mem::replace(&mut self.last_byte, piece[piece.len() - 1]);
        match piece {
            [.., b'\r', b'\n'] => 2,
            [b'\n'] if before == b'\r' => 2,
            [.., b'\n'] => 1,
            _ => 0,
        }
    }

    pub(super) fn next(&mut self, end: u64) {
        self.count += 1;
        self.start = self.offset;
        self.last_end = end;
    }
}
