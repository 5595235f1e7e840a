//! Text that somebody else chose, made fit for a log line.

use std::fmt::{self, Write};

/// How many characters are printed; the rest is only counted.
const CHARACTERS_MAX: usize = 256;

/// Prints text with everything escaped that could end the line, drive a terminal or turn the
/// reading direction; at most 256 characters of it. A backslash is doubled, so that the form is
/// unambiguous.
pub struct Printable<'a>(pub &'a str);

/// As [`Printable`], for bytes that need not be text; those that are not print as `\xff`.
pub struct PrintableBytes<'a>(pub &'a [u8]);

/// As [`PrintableBytes`], for logs that are there to show whole lines: at most
/// [`LINE_CHARACTERS_MAX`] characters.
pub struct PrintableLine<'a>(pub &'a [u8]);

/// The longest line that [`PrintableLine`] prints: of SMTP, the longest that is taken fits.
pub const LINE_CHARACTERS_MAX: usize = 2_048;

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PrintableBytes(self.0.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PrintableBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, CHARACTERS_MAX, f)
    }
}

impl fmt::Display for PrintableLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, LINE_CHARACTERS_MAX, f)
    }
}

/// Prints at most so many characters.
fn print(text: &[u8], characters_max: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mut characters, mut bytes) = (0, 0);
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().chars().map(Ok);
        let invalid = chunk.invalid().iter().copied().map(Err);
        for piece in valid.chain(invalid) {
            if characters == characters_max {
                return write!(f, "… ({} more bytes)", text.len() - bytes);
            }
            characters += 1;
            bytes += piece.map_or(1, char::len_utf8);
            match piece {
                Ok('\\') => f.write_str("\\\\")?,
                Ok(c) if is_harmful(c) => write!(f, "{}", c.escape_default())?,
                Ok(c) => f.write_char(c)?,
                Err(byte) => write!(f, "\\x{byte:02x}")?,
            }
        }
    }
    Ok(())
}

impl fmt::Debug for PrintableBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Control characters, line and paragraph separators, and what changes the direction of text or is
/// not seen at all (Unicode Standard Annex 9 §2, and the zero-width characters).
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(Printable(text).to_string(), expect);
    }

    #[test]
    fn harm_is_escaped_and_language_is_not() {
        check("alice@rialto.test", "alice@rialto.test");
        check("Zoë 李 🚀 a b", "Zoë 李 🚀 a b");
        check("a\r\nb\tc\0", r"a\r\nb\tc\u{0}");
        check("\u{1b}[31m\u{9b}2J\u{7f}", r"\u{1b}[31m\u{9b}2J\u{7f}");
        check("\u{202e}cod\u{2028}", r"\u{202e}cod\u{2028}");
        check(r"a\nb", r"a\\nb");
        check(&"é".repeat(258), &format!("{}… (4 more bytes)", "é".repeat(256)));
        assert_eq!(PrintableBytes(b"a\xff\xc3\xa9\xe2\x82").to_string(), "a\\xffé\\xe2\\x82");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn what_is_printed_is_one_harmless_short_line(bytes: Vec<u8>) {
            let printed = PrintableBytes(&bytes).to_string();
            prop_assert!(!printed.chars().any(is_harmful));
            prop_assert!(printed.chars().count() <= CHARACTERS_MAX * 10 + 40);
        }
    }
}
