//! Modified UTF-7 of mailbox names (RFC 3501 §5.1.3).
//!
//! Decoding is strict: a name has exactly one wire form, the one [`encode`] gives, so two spellings
//! can never name one mailbox and no character can hide inside a shift (attack 28).

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Why a name is no modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf7Error {
    /// A byte outside printable ASCII.
    NotPrintable,
    /// A shift that does not end with `-`, or holds a byte that is not modified base64.
    BadShift,
    /// A surrogate without its partner.
    BadSurrogate,
    /// Another spelling of a name: printable ASCII in a shift, a null shift, padding bits set.
    NotCanonical,
}

impl fmt::Display for Utf7Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Utf7Error::NotPrintable => "byte outside printable ASCII in a mailbox name",
            Utf7Error::BadShift => "broken modified base64 in a mailbox name",
            Utf7Error::BadSurrogate => "unpaired surrogate in a mailbox name",
            Utf7Error::NotCanonical => "non-canonical modified UTF-7 in a mailbox name",
        })
    }
}

impl std::error::Error for Utf7Error {}

/// Encodes a name; the result is printable ASCII whatever the name holds.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut shift = Shift::default();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift.close(&mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                shift.push(*unit, &mut out);
            }
        }
    }
    shift.close(&mut out);
    out
}

/// The bits of an open shift that have not been written yet.
#[derive(Default)]
struct Shift {
    open: bool,
    bits: u32,
    bit_count: u32,
}

impl Shift {
    fn push(&mut self, unit: u16, out: &mut String) {
        if !self.open {
            self.open = true;
            out.push('&');
        }
        self.bits = (self.bits << 16) | u32::from(unit);
        self.bit_count += 16;
        while self.bit_count >= 6 {
            self.bit_count -= 6;
            self.put(self.bits >> self.bit_count, out);
        }
        self.bits &= (1 << self.bit_count) - 1;
    }

    fn close(&mut self, out: &mut String) {
        if self.bit_count > 0 {
            self.put(self.bits << (6 - self.bit_count), out);
        }
        if self.open {
            out.push('-');
        }
        *self = Shift::default();
    }

    fn put(&self, sextet: u32, out: &mut String) {
        out.push(char::from(ALPHABET[(sextet & 63) as usize]));
    }
}

/// Decodes a name.
///
/// # Errors
/// See [`Utf7Error`]; everything that [`encode`] would not have written is refused.
pub fn decode(wire: &[u8]) -> Result<String, Utf7Error> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&b, tail)) = rest.split_first() {
        rest = match b {
            b'&' => {
                let end = tail.iter().position(|&b| b == b'-').ok_or(Utf7Error::BadShift)?;
                decode_shift(&tail[..end], &mut name)?;
                &tail[end + 1..]
            }
            b' '..=b'~' => {
                name.push(char::from(b));
                tail
            }
            _ => return Err(Utf7Error::NotPrintable),
        };
    }
    if encode(&name).as_bytes() == wire { Ok(name) } else { Err(Utf7Error::NotCanonical) }
}

fn decode_shift(shift: &[u8], name: &mut String) -> Result<(), Utf7Error> {
    if shift.is_empty() {
        name.push('&');
        return Ok(());
    }
    let mut units = Vec::with_capacity(shift.len() * 6 / 16 + 1);
    let (mut bits, mut bit_count) = (0u32, 0u32);
    for &b in shift {
        let sextet = sextet(b).ok_or(Utf7Error::BadShift)?;
        bits = (bits << 6) | sextet;
        bit_count += 6;
        if bit_count >= 16 {
            bit_count -= 16;
            units.push((bits >> bit_count) as u16);
            bits &= (1 << bit_count) - 1;
        }
    }
    for c in char::decode_utf16(units) {
        name.push(c.map_err(|_| Utf7Error::BadSurrogate)?);
    }
    Ok(())
}

fn sextet(b: u8) -> Option<u32> {
    let value = match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
