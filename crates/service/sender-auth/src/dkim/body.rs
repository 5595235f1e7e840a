//! The hash of a body that streams by (RFC 6376 §3.4.3, §3.4.4, §3.7).

use super::Canonical;
use aws_lc_rs::digest::{Context, SHA256};

/// Small pieces are gathered until there is so much to hash.
const GATHERED_BYTES: usize = 4096;

/// Line ends to write many of at once.
const LINE_ENDS: &[u8] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/// A SHA-256 over a body in its canonical form. Memory does not grow with the body.
pub struct BodyHash {
    canonical: Canonical,
    /// `l=`: no more of the canonical body is hashed.
    limit_bytes: Option<u64>,
    context: Context,
    gathered: Vec<u8>,
    /// Of the canonical body, hashed or not.
    canonical_bytes: u64,
    /// Line ends that count only if something follows.
    line_ends: u64,
    carriage_return: bool,
    blank: bool,
}

impl BodyHash {
    /// Begins.
    pub fn new(canonical: Canonical, limit_bytes: Option<u64>) -> Self {
        Self {
            canonical,
            limit_bytes,
            context: Context::new(&SHA256),
            gathered: Vec::with_capacity(GATHERED_BYTES),
            canonical_bytes: 0,
            line_ends: 0,
            carriage_return: false,
            blank: false,
        }
    }

    /// Which body it is the hash of.
    pub fn is_of(&self, canonical: Canonical, limit_bytes: Option<u64>) -> bool {
        (self.canonical, self.limit_bytes) == (canonical, limit_bytes)
    }

    /// Takes the next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        let relaxed = self.canonical == Canonical::Relaxed;
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.carriage_return) {
                if first == b'\n' {
                    (self.line_ends, self.blank) = (self.line_ends + 1, false);
                    rest = &rest[1..];
                    continue;
                }
                self.content(b"\r");
            }
            match first {
                b'\r' => self.carriage_return = true,
                b' ' | b'\t' if relaxed => self.blank = true,
                _ => {
                    let special = |byte: &u8| match byte {
                        b'\r' => true,
                        b' ' | b'\t' => relaxed,
                        _ => false,
                    };
                    let length = rest.iter().position(special).unwrap_or(rest.len());
                    self.content(&rest[..length]);
                    rest = &rest[length..];
                    continue;
                }
            }
            rest = &rest[1..];
        }
    }

    /// The hash, and how long the canonical body is.
    pub fn finish(mut self) -> ([u8; 32], u64) {
        if std::mem::take(&mut self.carriage_return) {
            self.content(b"\r");
        }
        if self.canonical == Canonical::Simple || self.canonical_bytes > 0 {
            self.emit(b"\r\n");
        }
        self.context.update(&self.gathered);
        let digest = self.context.finish();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        (hash, self.canonical_bytes)
    }

    /// What stands in a line.
    fn content(&mut self, bytes: &[u8]) {
        let mut line_ends = std::mem::take(&mut self.line_ends).saturating_mul(2);
        while line_ends > 0 {
            let some = line_ends.min(LINE_ENDS.len() as u64);
            self.emit(&LINE_ENDS[..some as usize]);
            line_ends -= some;
        }
        if std::mem::take(&mut self.blank) {
            self.emit(b" ");
        }
        self.emit(bytes);
    }

    fn emit(&mut self, bytes: &[u8]) {
        let wanted = match self.limit_bytes {
            Some(limit) => limit.saturating_sub(self.canonical_bytes).min(bytes.len() as u64),
            None => bytes.len() as u64,
        };
        self.canonical_bytes += bytes.len() as u64;
        let wanted = &bytes[..wanted as usize];
        if self.gathered.len() + wanted.len() > GATHERED_BYTES {
            self.context.update(&self.gathered);
            self.gathered.clear();
        }
        if wanted.len() >= GATHERED_BYTES {
            self.context.update(wanted);
        } else {
            self.gathered.extend_from_slice(wanted);
        }
    }
}
