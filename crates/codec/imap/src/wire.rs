//! Printing of the shared grammar: numbers, strings, mailbox names, flags.
//!
//! Nothing that is printed through here can break out of its place: a byte that a quoted string
//! cannot carry turns the string into a literal, and NUL, which no string can carry, is dropped
//! (attack 29).

use crate::lex::is_atom_char;
use crate::value::{Names, mutf7};
use bytes::{BufMut, BytesMut};

/// How a literal is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralForm {
    /// `{n}`: what servers send, and clients that wait for the continuation.
    Plain,
    /// `{n+}`: a client with LITERAL+ (RFC 7888).
    NonSync,
}

/// A decimal number.
pub(crate) fn put_number(out: &mut BytesMut, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// `{n}` or `{n+}` and the line end; the `n` bytes must follow.
pub(crate) fn put_literal_header(out: &mut BytesMut, len_bytes: u64, form: LiteralForm) {
    out.put_u8(b'{');
    put_number(out, len_bytes);
    if form == LiteralForm::NonSync {
        out.put_u8(b'+');
    }
    out.put_slice(b"}\r\n");
}

/// A string: quoted where that is possible, otherwise a literal.
pub(crate) fn put_string(out: &mut BytesMut, text: &[u8], form: LiteralForm) {
    if text.iter().all(|&b| matches!(b, b' '..=b'~' | b'\t')) {
        out.reserve(text.len() + 2);
        out.put_u8(b'"');
        for &b in text {
            if matches!(b, b'"' | b'\\') {
                out.put_u8(b'\\');
            }
            out.put_u8(b);
        }
        out.put_u8(b'"');
        return;
    }
    let nuls = text.iter().filter(|&&b| b == 0).count();
    put_literal_header(out, (text.len() - nuls) as u64, form);
    if nuls == 0 {
        out.put_slice(text);
    } else {
        out.extend(text.iter().copied().filter(|&b| b != 0));
    }
}

/// A string or `NIL`.
pub(crate) fn put_nstring(out: &mut BytesMut, text: Option<&[u8]>, form: LiteralForm) {
    match text {
        Some(text) => put_string(out, text, form),
        None => out.put_slice(b"NIL"),
    }
}

/// An atom where the text is one (and could not be taken for `NIL`), otherwise a string.
pub(crate) fn put_astring(out: &mut BytesMut, text: &[u8], form: LiteralForm) {
    let atom = !text.is_empty()
        && text.iter().all(|&b| is_atom_char(b))
        && !text.eq_ignore_ascii_case(b"NIL");
    if atom { out.put_slice(text) } else { put_string(out, text, form) }
}

/// A mailbox name as the client has it.
pub(crate) fn put_name(out: &mut BytesMut, name: &str, names: Names) {
    match names {
        Names::Utf8 if name != "INBOX" => put_utf8(out, name),
        _ => put_mailbox(out, name),
    }
}

/// A quoted string in UTF-8 (RFC 9051 §9 `quoted`); control characters, which it cannot hold, are
/// left out.
pub(crate) fn put_utf8(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.put_u8(b'\\');
        }
        out.put_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.put_u8(b'"');
}

/// A mailbox name in modified UTF-7: always printable ASCII, so never a literal. `INBOX` goes out
/// bare, everything else quoted, which clients of every age read.
pub(crate) fn put_mailbox(out: &mut BytesMut, name: &str) {
    if name == "INBOX" {
        out.put_slice(b"INBOX");
    } else {
        put_string(out, mutf7::encode(name).as_bytes(), LiteralForm::Plain);
    }
}

/// `(flag flag …)`. Names that are no flags are left out rather than printed.
pub(crate) fn put_flags<'a>(out: &mut BytesMut, names: impl IntoIterator<Item = &'a str>) {
    let flag = |name: &&str| {
        let atom = name.strip_prefix('\\').unwrap_or(name);
        *name == "\\*" || (!atom.is_empty() && atom.bytes().all(is_atom_char))
    };
    put_list(out, names.into_iter().filter(flag), |out, name| out.put_slice(name.as_bytes()));
}

/// `(a b c)` with one printer per element.
pub(crate) fn put_list<T>(
    out: &mut BytesMut,
    items: impl IntoIterator<Item = T>,
    put: impl FnMut(&mut BytesMut, T),
) {
    out.put_u8(b'(');
    put_spaced(out, items, put);
    out.put_u8(b')');
}

/// `a b c` with one printer per element.
pub(crate) fn put_spaced<T>(
    out: &mut BytesMut,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut BytesMut, T),
) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.put_u8(b' ');
        }
        put(out, item);
    }
}
