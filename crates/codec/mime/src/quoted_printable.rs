//! Writing text as quoted-printable (RFC 2045 §6.7), for servers that take 7-bit mail only.

/// The longest line, its end left out (RFC 2045 §6.7).
const LINE_BYTES: usize = 76;

/// Appends text, whatever its line ends are, as quoted-printable; its last line is ended.
pub(crate) fn write(out: &mut Vec<u8>, text: &str) {
    for line in text.lines() {
        let mut column = 0;
        let mut bytes = line.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let is_last = bytes.peek().is_none();
            let is_plain = match byte {
                b'=' => false,
                // What stands at the end of a line is lost on the way.
                b' ' | b'\t' => !is_last,
                _ => byte.is_ascii_graphic(),
            };
            let width = if is_plain { 1 } else { 3 };
            // The last column is kept for the sign that the line goes on.
            if column + width + usize::from(!is_last) > LINE_BYTES {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if is_plain {
                out.push(byte);
            } else {
                out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            }
            column += width;
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::decode::{TransferEncoding, whole};
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        let mut out = Vec::new();
        write(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), expect, "{text:?}");
    }

    #[test]
    fn text_is_written_for_seven_bits() {
        check("", "");
        check("plain\r\n  text", "plain\r\n  text\r\n");
        check("b\u{fc}ro = 1 \nend\t\n", "b=C3=BCro =3D 1=20\r\nend=09\r\n");
        check(&"x".repeat(76), &format!("{}\r\n", "x".repeat(76)));
        check(&"x".repeat(77), &format!("{}=\r\nxx\r\n", "x".repeat(75)));
        check(&"=".repeat(26), &format!("{}=\r\n=3D\r\n", "=3D".repeat(25)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read(lines in proptest::collection::vec("[^\\r\\n]{0,120}", 1..5)) {
            let mut out = Vec::new();
            write(&mut out, &(lines.join("\n") + "\n"));
            prop_assert!(out.is_ascii());
            prop_assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
            let read = whole(TransferEncoding::QuotedPrintable, &out);
            prop_assert_eq!(String::from_utf8(read).unwrap(), lines.join("\r\n") + "\r\n");
        }
    }
}
