//! What kind of file it is, by its bytes; by its name and type only where they say nothing.

use crate::{File, program};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Empty,
    /// Zip, and what is built of it.
    Zip,
    Gzip,
    Tar,
    Pdf,
    Rtf,
    Html,
    Text,
    Program,
    /// Pictures, sounds, films: there is no text in them.
    Media,
    /// An Office document behind a password.
    Sealed,
    Unknown,
}

const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// How far into a file the first line of a PDF may stand.
const PDF_WITHIN: usize = 1_024;

/// How much of a file is looked at to tell whether it is text.
const SAMPLE_BYTES: usize = 4_096;

const MEDIA: [&[u8]; 15] = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"BM",
    b"\0\0\x01\0",
    b"ID3",
    b"OggS",
    b"fLaC",
    b"\x1a\x45\xdf\xa3",
    b"\xff\xfb",
    b"\xff\xf3",
    b"FLV\x01",
];

/// Whether a file's first bytes say that others are packed in it.
pub fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
        || head.starts_with(b"PK\x05\x06")
        || head.starts_with(b"\x1f\x8b")
        || is_tar(head)
}

pub(crate) fn kind(file: &File<'_>) -> Kind {
    let bytes = file.bytes;
    let early = bytes.get(..PDF_WITHIN.min(bytes.len())).unwrap_or_default();
    if bytes.is_empty() {
        Kind::Empty
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Kind::Zip
    } else if bytes.starts_with(b"\x1f\x8b") {
        Kind::Gzip
    } else if early.windows(5).any(|five| five == b"%PDF-") {
        Kind::Pdf
    } else if bytes.starts_with(b"{\\rtf") {
        Kind::Rtf
    } else if bytes.starts_with(COMPOUND) {
        if is_sealed(bytes) { Kind::Sealed } else { Kind::Unknown }
    } else if is_tar(bytes) {
        Kind::Tar
    } else if program::is_program(bytes) {
        Kind::Program
    } else if is_media(bytes) {
        Kind::Media
    } else {
        text_kind(file)
    }
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn is_media(bytes: &[u8]) -> bool {
    let behind = |name: &[u8], form: &[u8]| {
        bytes.starts_with(name) && bytes.get(8..12).is_some_and(|found| found == form)
    };
    MEDIA.iter().any(|magic| bytes.starts_with(magic))
        || behind(b"RIFF", b"WEBP")
        || behind(b"RIFF", b"WAVE")
        || behind(b"RIFF", b"AVI ")
        || bytes.get(4..8) == Some(b"ftyp")
}

/// Whether a compound file holds an encrypted document: the name of its stream, in UTF-16.
fn is_sealed(bytes: &[u8]) -> bool {
    let name: Vec<u8> = b"EncryptedPackage".iter().flat_map(|byte| [*byte, 0]).collect();
    bytes.windows(name.len()).any(|some| some == name)
}

/// Text of some kind, or nothing that is known.
fn text_kind(file: &File<'_>) -> Kind {
    let sample = file.bytes.get(..SAMPLE_BYTES.min(file.bytes.len())).unwrap_or_default();
    let is_wide = sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff");
    let wide_label = file.charset.to_ascii_lowercase().starts_with("utf-16");
    let control = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t'..=b'\r' | 0x1b);
    // Where one byte in 32 is none of text, it is none.
    if !is_wide && !wide_label && sample.iter().filter(control).count() * 32 > sample.len() {
        return Kind::Unknown;
    }
    let name = file.name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let media_type = file.media_type.to_ascii_lowercase();
    let start: Vec<u8> = sample
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != 0)
        .take(20)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let is_html = media_type == "text/html"
        || media_type == "application/xhtml+xml"
        || ends(&[".html", ".htm", ".xhtml", ".svg", ".xml"])
        || start.starts_with(b"<!doctypehtml")
        || start.starts_with(b"<html")
        || start.starts_with(b"<?xml")
        || start.starts_with(b"<svg");
    if is_html { Kind::Html } else { Kind::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], name: &str, expect: Kind) {
        let file = File { name, bytes, ..File::default() };
        assert_eq!(kind(&file), expect, "{name} {:?}", bytes.escape_ascii().to_string());
    }

    #[test]
    fn bytes_say_what_a_file_is() {
        check(b"", "a.pdf", Kind::Empty);
        check(b"PK\x03\x04....", "a.txt", Kind::Zip);
        check(b"\x1f\x8b\x08", "a", Kind::Gzip);
        check(b"\n%PDF-1.7\n", "a.txt", Kind::Pdf);
        check(b"{\\rtf1 x}", "a", Kind::Rtf);
        check(b"MZ\x90\0\x03", "a.txt", Kind::Program);
        check(b"\x89PNG\r\n\x1a\n....", "a.exe", Kind::Media);
        check(b"RIFF....WEBPVP8 ", "a", Kind::Media);
        check(b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\x01\x02", "a.7z", Kind::Unknown);
        check(b"  <!DOCTYPE html><p>", "a", Kind::Html);
        check(b"a < b", "a.htm", Kind::Html);
        check(b"a;b\r\n1;2\r\n", "a.csv", Kind::Text);
        check("Gr\u{fc}\u{df}e".as_bytes(), "a", Kind::Text);
        check(b"\xff\xfea\0b\0", "a.txt", Kind::Text);
        check(b"\0\x01\x02\x03\x04\x05", "a.txt", Kind::Unknown);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, "a", Kind::Tar);
        let mut sealed = COMPOUND.to_vec();
        check(&sealed, "a.doc", Kind::Unknown);
        sealed.extend(b"EncryptedPackage".iter().flat_map(|byte| [*byte, 0]));
        check(&sealed, "a.docx", Kind::Sealed);
    }
}
