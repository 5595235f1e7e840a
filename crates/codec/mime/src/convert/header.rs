//! Header blocks, rewritten where they must be. Fields that need no change keep every octet.

use super::plan::Edit;
use super::{Impossible, fields};
use crate::header::{self, Field};

/// The character set of text whose sender did not name it (RFC 1428 §3).
pub(super) const UNKNOWN: &str = "unknown-8bit";

/// Whether a header can become ASCII.
///
/// # Errors
/// [`Impossible`].
pub(super) fn check(raw: &[u8]) -> Result<(), Impossible> {
    header::fields(raw).filter(needs_ascii).try_for_each(|field| fields::ascii(&field).map(drop))
}

fn needs_ascii(field: &Field<'_>) -> bool {
    !field.name.is_ascii() || !field.value.is_ascii() || field.value.contains(&0)
}

/// Writes a header as it is to become. What [`check`] would refuse is written with `?` for each
/// octet that does not fit.
pub(super) fn write(raw: &[u8], edit: Edit, out: &mut Vec<u8>) {
    let (mut has_type, mut has_encoding, mut end) = (false, false, 0);
    for field in header::fields(raw) {
        end = field.range.end;
        let whole = &raw[field.range.clone()];
        if field.is(b"content-transfer-encoding")
            && let Some(encoding) = edit.encoding
        {
            if !std::mem::replace(&mut has_encoding, true) {
                line(&format!("Content-Transfer-Encoding: {}", encoding.word()), out);
            }
            continue;
        }
        let from = out.len();
        if edit.ascii && needs_ascii(&field) {
            match fields::ascii(&field) {
                Ok(written) => lines(&written, out),
                Err(_) => lines(&fields::marked(whole), out),
            }
        } else {
            lines(whole, out);
        }
        if edit.charset && field.is(b"content-type") && !std::mem::replace(&mut has_type, true) {
            with_charset(from, out);
        }
    }
    if edit.version {
        line("MIME-Version: 1.0", out);
    }
    if edit.charset && !has_type {
        line(&format!("Content-Type: text/plain; charset={UNKNOWN}"), out);
    }
    if let Some(encoding) = edit.encoding.filter(|_| !has_encoding) {
        line(&format!("Content-Transfer-Encoding: {}", encoding.word()), out);
    }
    lines(&raw[end..], out);
}

fn line(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Lines as they are, each ended by CRLF.
fn lines(raw: &[u8], out: &mut Vec<u8>) {
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        out.extend(text.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
        out.extend_from_slice(b"\r\n");
    }
}

/// Adds a character set to the Content-Type that was written from `from` on.
fn with_charset(from: usize, out: &mut Vec<u8>) {
    let end = from + out[from..].trim_ascii_end().len();
    out.truncate(end);
    let between = if out.ends_with(b";") { "" } else { ";" };
    out.extend_from_slice(format!("{between}\r\n charset={UNKNOWN}\r\n").as_bytes());
}
