//! xtext, the encoding of parameter values (RFC 3461 §4).
//!
//! `+XX` stands for any byte, so a value may decode to CR, LF or NUL and end up in a header. Only
//! printable ASCII is let through.

use std::fmt::{self, Write};

/// Decodes a value of at most `max_bytes` decoded bytes; `None` if it is malformed, too long, or
/// holds anything but printable ASCII and spaces.
#[must_use]
pub fn decode(value: &str, max_bytes: usize) -> Option<String> {
    let mut decoded = String::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'+' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        };
        if !matches!(meant, b' '..=b'~') || decoded.len() == max_bytes {
            return None;
        }
        decoded.push(char::from(meant));
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Prints a text in xtext.
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "+{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (encoded, decoded) in [
            ("plain", Some("plain")),
            ("a+2Bb+3Dc+20d", Some("a+b=c d")),
            ("a+2bb", Some("a+b")),
            ("", Some("")),
            ("a=b", None),
            ("a b", None),
            ("a+", None),
            ("a+2", None),
            ("a+2G", None),
            ("ü", None),
            ("a+C3+BC", None),
            ("01234567890", None),
        ] {
            assert_eq!(decode(encoded, 10).as_deref(), decoded, "{encoded}");
        }
        assert_eq!(Encoded("a+b=c d\r").to_string(), "a+2Bb+3Dc+20d+0D");
    }

    #[test]
    fn attack_11_control_characters_are_refused() {
        for byte in (0..0x20).chain([0x7f]) {
            assert_eq!(decode(&format!("a+{byte:02X}b"), 10), None, "{byte:#x}");
        }
    }
}
