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

/// Decodes an internationalised address (RFC 6533 §3): `\x{HEX}` stands for a character, others
/// for themselves; `+XX` is read as in [`decode`]. `None` if it is malformed, longer than
/// `max_bytes` decoded, or holds a control character or a space beyond ASCII.
pub(crate) fn decode_utf8(value: &str, max_bytes: usize) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let (meant, behind) = match first {
            '\\' => {
                let (digits, behind) = rest.strip_prefix("\\x{")?.split_once('}')?;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let point = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
                (char::from_u32(point)?, behind)
            }
            '+' => (decode(rest.get(..3)?, 1)?.chars().next()?, rest.get(3..)?),
            '=' => return None,
            first => (first, rest.get(first.len_utf8()..)?),
        };
        let is_text = meant == ' ' || !(meant.is_control() || meant.is_whitespace());
        if !is_text || decoded.len() + meant.len_utf8() > max_bytes {
            return None;
        }
        decoded.push(meant);
        rest = behind;
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

/// Prints an internationalised address in ASCII (RFC 6533 §3).
pub(crate) struct EncodedUtf8<'a>(pub(crate) &'a str);

impl fmt::Display for EncodedUtf8<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_ascii_graphic() && !"+=\\".contains(c) {
                f.write_char(c)?;
            } else {
                write!(f, "\\x{{{:X}}}", u32::from(c))?;
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
    fn internationalised_values() {
        for (encoded, decoded) in [
            ("a@x.test", Some("a@x.test")),
            ("j\\x{FC}rg", Some("jürg")),
            ("jürg", Some("jürg")),
            ("a+2Bb\\x{3d}\\x{5C}", Some("a+b=\\")),
            ("\\x{1F600}", Some("😀")),
            ("a\\x{0D}", None),
            ("a\\x{2028}", None),
            ("a\\x{85}", None),
            ("\\x{D800}", None),
            ("\\x{+FC}", None),
            ("\\x{}", None),
            ("\\x{FC", None),
            ("a=b", None),
            ("a+ü", None),
            ("0123456789ü", None),
        ] {
            assert_eq!(decode_utf8(encoded, 11).as_deref(), decoded, "{encoded}");
        }
        assert_eq!(EncodedUtf8("jürg+=\\ ").to_string(), "j\\x{FC}rg\\x{2B}\\x{3D}\\x{5C}\\x{20}");
    }

    #[test]
    fn attack_11_control_characters_are_refused() {
        for byte in (0..0x20).chain([0x7f]) {
            assert_eq!(decode(&format!("a+{byte:02X}b"), 10), None, "{byte:#x}");
        }
    }
}
