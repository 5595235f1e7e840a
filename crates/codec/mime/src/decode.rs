//! Content transfer decodings (RFC 2045 §6) and the way from stored octets to text, as streams
//! with bounded state. Broken input decodes as far as it makes sense.

use crate::charset::CharsetDecoder;
use crate::message::Part;
use crate::params::hex;

/// Trailing white space held back in quoted-printable; longer runs do not come from a mailer.
const HELD_SPACES: usize = 1000;

/// How a body is encoded (RFC 2045 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// 7bit, 8bit, binary, absent or unknown: the octets are the content.
    Identity,
    /// RFC 2045 §6.8.
    Base64,
    /// RFC 2045 §6.7.
    QuotedPrintable,
}

impl TransferEncoding {
    /// From a raw Content-Transfer-Encoding value.
    pub fn from_header(value: Option<&[u8]>) -> Self {
        let end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'(');
        let word = value.and_then(|value| value.trim_ascii().split(end).next());
        match word {
            Some(word) if word.eq_ignore_ascii_case(b"base64") => TransferEncoding::Base64,
            Some(word) if word.eq_ignore_ascii_case(b"quoted-printable") => {
                TransferEncoding::QuotedPrintable
            }
            _ => TransferEncoding::Identity,
        }
    }
}

impl Part {
    /// How the body of this part is encoded.
    pub fn transfer_encoding(&self) -> TransferEncoding {
        TransferEncoding::from_header(self.encoding.as_deref())
    }
}

/// Undoes a transfer encoding.
pub struct TransferDecoder(State);

enum State {
    Identity,
    Base64 { bits: u32, bit_count: u32 },
    QuotedPrintable { escape: Escape, spaces: Vec<u8> },
}

/// Where in `=XX` or a soft line break the stream stands.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Equals,
    High(u8),
    /// `=` and white space: a soft line break once the line ends.
    Soft,
}

impl TransferDecoder {
    /// A decoder at the start of a body.
    pub fn new(encoding: TransferEncoding) -> Self {
        TransferDecoder(match encoding {
            TransferEncoding::Identity => State::Identity,
            TransferEncoding::Base64 => State::Base64 { bits: 0, bit_count: 0 },
            TransferEncoding::QuotedPrintable => {
                State::QuotedPrintable { escape: Escape::None, spaces: Vec::new() }
            }
        })
    }

    /// Decodes the next octets to the end of `out`; never more than went in plus 1,000.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => out.extend_from_slice(bytes),
            State::Base64 { bits, bit_count } => base64(bits, bit_count, bytes, out),
            State::QuotedPrintable { escape, spaces } => {
                for byte in bytes {
                    *escape = quoted_printable(*escape, spaces, *byte, out);
                }
            }
        }
    }

    /// Ends the body: gives what was held back.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let State::QuotedPrintable { escape, spaces } = self.0 {
            out.extend_from_slice(&spaces);
            if let Escape::High(high) = escape {
                out.extend_from_slice(&[b'=', high]);
            }
        }
    }
}

/// Octets outside the alphabet are skipped; padding ends a quantum, so that concatenated texts
/// decode both.
fn base64(bits: &mut u32, bit_count: &mut u32, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() / 4 * 3 + 3);
    for byte in bytes {
        match base64_value(*byte) {
            Some(value) => {
                *bits = (*bits << 6 | u32::from(value)) & 0xFFFF;
                *bit_count += 6;
                if *bit_count >= 8 {
                    *bit_count -= 8;
                    out.push((*bits >> *bit_count) as u8);
                }
            }
            None if *byte == b'=' => *bit_count = 0,
            None => {}
        }
    }
}

fn quoted_printable(escape: Escape, spaces: &mut Vec<u8>, byte: u8, out: &mut Vec<u8>) -> Escape {
    match (escape, byte) {
        (Escape::None, b'=') => {
            out.append(spaces);
            Escape::Equals
        }
        (Escape::None, b' ' | b'\t') if spaces.len() < HELD_SPACES => {
            spaces.push(byte);
            Escape::None
        }
        (Escape::None, b'\r' | b'\n') => {
            // RFC 2045 §6.7 rule 3: white space at a line end was added on the way.
            spaces.clear();
            out.push(byte);
            Escape::None
        }
        (Escape::None, _) => {
            out.append(spaces);
            out.push(byte);
            Escape::None
        }
        (Escape::Equals | Escape::Soft, b'\n') => Escape::None,
        (Escape::Equals | Escape::Soft, b'\r' | b' ' | b'\t') => Escape::Soft,
        (Escape::Equals, _) if hex(byte).is_some() => Escape::High(byte),
        (Escape::Equals, _) => {
            out.push(b'=');
            quoted_printable(Escape::None, spaces, byte, out)
        }
        (Escape::Soft, _) => quoted_printable(Escape::None, spaces, byte, out),
        (Escape::High(high), _) => match (hex(high), hex(byte)) {
            (Some(upper), Some(lower)) => {
                out.push(upper << 4 | lower);
                Escape::None
            }
            _ => {
                out.extend_from_slice(&[b'=', high]);
                quoted_printable(Escape::None, spaces, byte, out)
            }
        },
    }
}

/// Value of an octet of the base64 alphabet (RFC 4648 §4).
pub(crate) fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes a short body whole.
pub fn whole(encoding: TransferEncoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = TransferDecoder::new(encoding);
    decoder.push(bytes, &mut out);
    decoder.finish(&mut out);
    out
}

/// From the stored octets of a text part to its text, chunk by chunk.
pub struct TextDecoder {
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    octets: Vec<u8>,
}

impl TextDecoder {
    /// A decoder for the body of `part`, by its transfer encoding and charset parameter.
    pub fn new(part: &Part) -> Self {
        let label = part.content_type.param("charset").map_or(&b""[..], |label| &label[..]);
        TextDecoder {
            transfer: TransferDecoder::new(part.transfer_encoding()),
            charset: CharsetDecoder::new(label),
            octets: Vec::new(),
        }
    }

    /// Decodes the next stored octets to the end of `text`.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.octets.clear();
        self.transfer.push(bytes, &mut self.octets);
        self.charset.push(&self.octets, text);
    }

    /// Ends the body.
    pub fn finish(mut self, text: &mut String) {
        self.octets.clear();
        self.transfer.finish(&mut self.octets);
        self.charset.push(&self.octets, text);
        self.charset.finish(text);
    }
}
