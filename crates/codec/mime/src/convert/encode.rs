//! Content transfer encodings as streams (RFC 2045 §6.7, §6.8): any octets to lines of at most 76.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest line of quoted-printable, without the sign that it goes on.
const QUOTED_COLUMNS: usize = 75;
/// Octets of one line of base64: 76 columns.
const BASE64_OCTETS: usize = 57;

/// Encodes one body. The last line is not ended: that line end is the delimiter's.
#[derive(Debug)]
pub(crate) enum Encoder {
    Quoted(Quoted),
    Base64(Base64),
}

impl Encoder {
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Quoted(quoted) => quoted.push(bytes, out),
            Encoder::Base64(base64) => base64.push(bytes, out),
        }
    }

    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        match self {
            Encoder::Quoted(quoted) => quoted.finish(out),
            Encoder::Base64(base64) => base64.finish(out),
        }
    }
}

/// Quoted-printable of text: CRLF ends a line, any other CR or LF is an octet like others.
#[derive(Debug, Default)]
pub(crate) struct Quoted {
    column: usize,
    /// White space that is plain unless the line ends behind it.
    space: Option<u8>,
    /// A CR that waits for its LF.
    cr: bool,
}

impl Quoted {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.byte(*byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.cr && byte == b'\n' {
            self.cr = false;
            if let Some(space) = self.space.take() {
                self.octet(space, out);
            }
            out.extend_from_slice(b"\r\n");
            self.column = 0;
            return;
        }
        // White space may be the last of its line as long as a CR may end that.
        if self.cr || byte != b'\r' {
            self.release(out);
        }
        match byte {
            b'\r' => self.cr = true,
            b' ' | b'\t' => self.space = Some(byte),
            b'=' => self.octet(byte, out),
            _ if byte.is_ascii_graphic() => self.plain(byte, out),
            _ => self.octet(byte, out),
        }
    }

    /// What was held back does not end a line. A space before a CR that is an octet is plain: what
    /// follows it is `=0D`.
    fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.space.take() {
            self.plain(space, out);
        }
        if std::mem::take(&mut self.cr) {
            self.octet(b'\r', out);
        }
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>) {
        let broke = self.room(1, out);
        // A line that begins in the middle of another must not look like a delimiter.
        if broke && byte == b'-' {
            self.octet(byte, out);
            return;
        }
        out.push(byte);
        self.column += 1;
    }

    fn octet(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.room(3, out);
        out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
        self.column += 3;
    }

    /// Makes room; tells whether the line was broken for that.
    fn room(&mut self, width: usize, out: &mut Vec<u8>) -> bool {
        let breaks = self.column + width > QUOTED_COLUMNS;
        if breaks {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        breaks
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.space.take() {
            self.octet(space, out);
        }
        if self.cr {
            self.octet(b'\r', out);
        }
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

/// Base64 in lines.
#[derive(Debug, Default)]
pub(crate) struct Base64 {
    held: Vec<u8>,
    begun: bool,
}

impl Base64 {
    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while self.held.len() + bytes.len() >= BASE64_OCTETS {
            let (now, later) = bytes.split_at(BASE64_OCTETS - self.held.len());
            self.held.extend_from_slice(now);
            self.line(out);
            bytes = later;
        }
        self.held.extend_from_slice(bytes);
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(STANDARD.encode(&self.held).as_bytes());
        self.held.clear();
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.line(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{TransferEncoding, whole};
    use proptest::prelude::*;

    fn encoded(mut encoder: Encoder, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| encoder.push(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    fn check(text: &[u8], expect: &str) {
        for size in [1, 2, text.len().max(1)] {
            let pieces: Vec<_> = text.chunks(size).collect();
            let out = encoded(Encoder::Quoted(Quoted::default()), &pieces);
            assert_eq!(String::from_utf8_lossy(&out), expect, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn text_is_quoted() {
        check(b"", "");
        check(b"plain\r\n  text", "plain\r\n  text");
        check(b"b\xc3\xbcro = 1 \r\nend\t", "b=C3=BCro =3D 1=20\r\nend=09");
        check(b"a\nb\rc \rd\r", "a=0Ab=0Dc =0Dd=0D");
        check(b"  \r\n\0", " =20\r\n=00");
        check(&[b'x'; 75], &"x".repeat(75));
        check(&[b'x'; 77], &format!("{}=\r\nxx", "x".repeat(75)));
        let long = [&[b'x'; 75][..], b"--boundary"].concat();
        check(&long, &format!("{}=\r\n=2D-boundary", "x".repeat(75)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn what_is_encoded_is_read(
            pieces in proptest::collection::vec("([ -~]{0,90}|[ \t]{0,3}\r\n|\r|\n|\\PC{0,40})", 0..12),
            octets in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let pieces: Vec<&[u8]> =
                pieces.iter().map(String::as_bytes).chain([&octets[..]]).collect();
            let all = pieces.concat();
            for (encoder, encoding) in [
                (Encoder::Quoted(Quoted::default()), TransferEncoding::QuotedPrintable),
                (Encoder::Base64(Base64::default()), TransferEncoding::Base64),
            ] {
                let out = encoded(encoder, &pieces);
                prop_assert!(out.is_ascii() && !out.contains(&0));
                prop_assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
                prop_assert_eq!(whole(encoding, &out), all.clone());
            }
        }
    }
}
