//! How a header is written before it is hashed (RFC 6376 §3.4).

use crate::header::Field;

/// A way of writing a header or a body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Canonical {
    /// As it is.
    Simple,
    /// White space made equal.
    Relaxed,
}

impl Canonical {
    /// The word in a signature.
    pub fn word(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    /// Reads `c=`: for the header and for the body.
    pub fn parse_pair(text: &str) -> Option<(Self, Self)> {
        let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
        Some((Self::parse(header)?, Self::parse(body)?))
    }

    fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            word if word.eq_ignore_ascii_case("simple") => Some(Self::Simple),
            word if word.eq_ignore_ascii_case("relaxed") => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// Writes a field with its line end.
    pub fn field(self, field: Field<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Simple => out.extend_from_slice(field.whole),
            Self::Relaxed => {
                out.extend(field.name.iter().map(u8::to_ascii_lowercase));
                out.push(b':');
                relaxed_value(field.value, out);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// Unfolded, with single blanks inside and none around.
fn relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut blank = false;
    for &byte in value {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => blank = true,
            _ => {
                if blank && out.len() > start {
                    out.push(b' ');
                }
                blank = false;
                out.push(byte);
            }
        }
    }
}
