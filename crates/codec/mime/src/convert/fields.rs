//! Header fields with 8-bit octets as ASCII: encoded words where there is text (RFC 2047 §5), RFC
//! 2231 for parameters. Text that is no UTF-8 keeps its octets, under the name `unknown-8bit`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

use super::Impossible;
use super::header::UNKNOWN;
use crate::encoded_word;
use crate::header::{Field, unfold};

/// Where lines are folded.
const COLUMNS: usize = 76;
/// Octets of one encoded word whose character set is not known: 56 of base64 with 19 around.
const WORD_OCTETS: usize = 42;
/// Octets of one piece of a parameter (RFC 2231 §3).
const PIECE_BYTES: usize = 54;

/// Lists of addresses: display names and comments are text.
const ADDRESSES: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "resent-from",
    "resent-sender",
    "resent-reply-to",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "mail-reply-to",
    "mail-followup-to",
    "disposition-notification-to",
    "return-receipt-to",
    "errors-to",
    "list-id",
    "keywords",
];

/// Only comments are text.
const STRUCTURED: &[&str] = &[
    "return-path",
    "message-id",
    "resent-message-id",
    "in-reply-to",
    "references",
    "date",
    "resent-date",
    "mime-version",
    "content-transfer-encoding",
    "content-id",
    "content-location",
    "dkim-signature",
    "domainkey-signature",
    "arc-seal",
    "arc-message-signature",
    "list-unsubscribe",
    "list-post",
    "list-help",
    "list-archive",
    "list-subscribe",
    "list-owner",
];

/// Written by servers about the way of a message, for people.
const TRACE: &[&str] =
    &["received", "received-spf", "authentication-results", "arc-authentication-results"];

/// A field as ASCII, with its line end.
///
/// # Errors
/// [`Impossible::Address`] where the octets are no text; [`Impossible::Opaque`] for a boundary.
pub(super) fn ascii(field: &Field<'_>) -> Result<Vec<u8>, Impossible> {
    if field.name.is_empty() || !field.name.is_ascii() {
        return Err(Impossible::Header);
    }
    let name = String::from_utf8_lossy(field.name).into_owned();
    let mut out = Text { out: format!("{name}:").into_bytes() };
    let folded = name.to_ascii_lowercase();
    let is_in = |list: &[&str]| list.contains(&folded.as_str());
    if is_in(ADDRESSES) {
        addresses(field.value, &mut out)?;
    } else if matches!(folded.as_str(), "content-type" | "content-disposition") {
        parameters(field.value, &mut out)?;
    } else if is_in(TRACE) {
        structured(&trace(field.value), &mut out)?;
    } else if is_in(STRUCTURED) {
        structured(field.value, &mut out)?;
    } else {
        out.words(&unfold(field.value));
    }
    let end = out.out.trim_ascii_end().len();
    out.out.truncate(end);
    out.out.extend_from_slice(b"\r\n");
    Ok(out.out)
}

/// What is left of octets for which there is no other form.
pub(super) fn marked(raw: &[u8]) -> Vec<u8> {
    raw.iter().map(|byte| if byte.is_ascii() && *byte != 0 { *byte } else { b'?' }).collect()
}

fn fits(bytes: &[u8]) -> bool {
    bytes.is_ascii() && !bytes.contains(&0)
}

/// A display name as words: encoded ones, but where nothing is left that has to be.
fn named(text: &[u8]) -> Vec<String> {
    match std::str::from_utf8(text).map(|_| encoded_word::decode(text)) {
        Ok(name) if name.is_ascii() && !name.contains("=?") => {
            vec![encoded_word::encode_phrase(&name)]
        }
        _ => encoded(text),
    }
}

struct Text {
    out: Vec<u8>,
}

impl Text {
    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn column(&self) -> usize {
        let last = self.out.iter().rposition(|byte| *byte == b'\n');
        self.out.len() - last.map_or(0, |at| at + 1)
    }

    /// One word behind white space, on a line of its own where it would be too long.
    fn word(&mut self, word: &str) {
        let bare = self.out.trim_ascii_end().len();
        let folded = self.out[bare..].contains(&b'\n');
        if !folded {
            self.out.truncate(bare);
            let breaks = self.column() + 1 + word.len() > COLUMNS && !self.out.ends_with(b":");
            self.raw(if breaks { b"\r\n " } else { b" " });
        }
        self.raw(word.as_bytes());
    }

    /// Text as encoded words.
    fn words(&mut self, text: &[u8]) {
        encoded(text).iter().for_each(|word| self.word(word));
    }
}

/// Encoded words of text; what is encoded in it already is read first.
fn encoded(text: &[u8]) -> Vec<String> {
    if std::str::from_utf8(text).is_ok() {
        let text = encoded_word::encode(&encoded_word::decode(text));
        return text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    }
    let word = |octets: &[u8]| format!("=?{UNKNOWN}?B?{}?=", STANDARD.encode(octets));
    text.chunks(WORD_OCTETS).map(word).collect()
}

/// A piece of a structured field.
enum Token<'a> {
    /// Between parentheses, which are not part of it.
    Comment(&'a [u8]),
    /// With its quotes.
    Quoted(&'a [u8]),
    /// One octet, not white space.
    Octet(u8),
    Space(&'a [u8]),
}

/// The first token of `rest`, and what follows.
fn next_token(rest: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let first = *rest.first()?;
    let length = match first {
        b'(' => comment_length(rest),
        b'"' => quoted_length(rest),
        _ if first.is_ascii_whitespace() => {
            rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
        }
        _ => 1,
    };
    let (taken, behind) = rest.split_at(length.clamp(1, rest.len()));
    let token = match first {
        b'(' => Token::Comment(taken[1..].strip_suffix(b")").unwrap_or(&taken[1..])),
        b'"' => Token::Quoted(taken),
        _ if first.is_ascii_whitespace() => Token::Space(taken),
        _ => Token::Octet(first),
    };
    Some((token, behind))
}

fn comment_length(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}

/// Without the backslashes that protect other octets.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut escaped) = (Vec::with_capacity(text.len()), false);
    for byte in text {
        if *byte == b'\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        out.push(*byte);
    }
    out
}

fn comment(text: &[u8], out: &mut Text) {
    if fits(text) {
        out.raw(b"(");
        out.raw(text);
    } else {
        out.raw(b"(");
        let words = encoded(&unescaped(&unfold(text)));
        for (number, word) in words.iter().enumerate() {
            let word = word.replace(['(', ')', '\\'], "");
            match number {
                0 => out.raw(word.as_bytes()),
                _ => out.word(&word),
            }
        }
    }
    out.raw(b")");
}

/// A field in which only comments are text.
fn structured(value: &[u8], out: &mut Text) -> Result<(), Impossible> {
    let mut rest = value;
    while let Some((token, behind)) = next_token(rest) {
        match token {
            Token::Comment(text) => comment(text, out),
            Token::Quoted(text) | Token::Space(text) if fits(text) => out.raw(text),
            Token::Octet(byte) if fits(&[byte]) => out.raw(&[byte]),
            _ => return Err(Impossible::Address),
        }
        rest = behind;
    }
    Ok(())
}

/// A trace field without what only an address beyond ASCII would need (RFC 6857 §3.1.8): the clause
/// that tells for whom it came, and `?` for other octets outside comments.
fn trace(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut word_at = 0;
    let mut for_at = None;
    while let Some((token, behind)) = next_token(rest) {
        let taken = &rest[..rest.len() - behind.len()];
        match token {
            Token::Comment(_) => out.extend_from_slice(taken),
            Token::Space(_) => {
                match for_at.take() {
                    Some(at) if !fits(&out[word_at..]) => out.truncate(at),
                    _ if out[word_at..].eq_ignore_ascii_case(b"for") => for_at = Some(word_at),
                    _ => {}
                }
                out.extend_from_slice(taken);
                word_at = out.len();
            }
            // The date is behind it.
            Token::Octet(b';') => {
                if let Some(at) = for_at.take().filter(|_| !fits(&out[word_at..])) {
                    out.truncate(at);
                }
                out.push(b';');
                word_at = out.len();
            }
            Token::Quoted(_) | Token::Octet(_) => out.extend_from_slice(taken),
        }
        rest = behind;
    }
    // Comments are text, and encoded later.
    let (mut clean, mut rest) = (Vec::with_capacity(out.len()), &out[..]);
    while let Some((token, behind)) = next_token(rest) {
        let taken = &rest[..rest.len() - behind.len()];
        match token {
            Token::Comment(_) => clean.extend_from_slice(taken),
            _ => clean.extend(marked(taken)),
        }
        rest = behind;
    }
    clean
}

/// A list of addresses.
fn addresses(value: &[u8], out: &mut Text) -> Result<(), Impossible> {
    let mut run: Vec<Token<'_>> = Vec::new();
    let mut rest = value;
    while let Some((token, behind)) = next_token(rest) {
        rest = behind;
        match token {
            Token::Octet(b'<') => {
                phrase(&std::mem::take(&mut run), out);
                let length = route_length(rest);
                let (route, behind) = rest.split_at(length);
                if !fits(route) {
                    return Err(Impossible::Address);
                }
                out.raw(b"<");
                out.raw(route);
                rest = behind;
            }
            Token::Octet(b':') => {
                phrase(&std::mem::take(&mut run), out);
                out.raw(b":");
            }
            Token::Octet(byte @ (b',' | b';')) => {
                bare(&std::mem::take(&mut run), out)?;
                out.raw(&[byte]);
            }
            token => run.push(token),
        }
    }
    bare(&run, out)
}

/// How long an address between angle brackets is, with the second one.
fn route_length(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'>' => return at + 1,
            b'"' => at += quoted_length(&rest[at..]),
            _ => at += 1,
        }
    }
    at.min(rest.len())
}

/// What stands without angle brackets: an address, or words that are none.
fn bare(run: &[Token<'_>], out: &mut Text) -> Result<(), Impossible> {
    let is_address = run.iter().any(|token| matches!(token, Token::Octet(b'@')));
    if is_address && !run.iter().all(is_plain) {
        return Err(Impossible::Address);
    }
    phrase(run, out);
    Ok(())
}

/// Whether a token can stay; comments can always be encoded.
fn is_plain(token: &Token<'_>) -> bool {
    match token {
        Token::Comment(_) => true,
        Token::Quoted(text) | Token::Space(text) => fits(text),
        Token::Octet(byte) => fits(&[*byte]),
    }
}

/// Words before an address: encoded all together if one of them must be.
fn phrase(run: &[Token<'_>], out: &mut Text) {
    let encodes = !run.iter().all(is_plain);
    let mut text = Vec::new();
    for token in run {
        match token {
            Token::Comment(inner) => {
                if encodes && !text.trim_ascii().is_empty() {
                    named(text.trim_ascii()).iter().for_each(|word| out.word(word));
                    out.raw(b" ");
                }
                text.clear();
                comment(inner, out);
            }
            Token::Quoted(quoted) if encodes => {
                let inner = quoted.strip_prefix(b"\"").unwrap_or(quoted);
                text.extend(unescaped(&unfold(inner.strip_suffix(b"\"").unwrap_or(inner))));
            }
            Token::Space(_) if encodes => text.push(b' '),
            Token::Octet(byte) if encodes => text.push(*byte),
            Token::Quoted(raw) | Token::Space(raw) => out.raw(raw),
            Token::Octet(byte) => out.raw(&[*byte]),
        }
    }
    if encodes && !text.trim_ascii().is_empty() {
        named(text.trim_ascii()).iter().for_each(|word| out.word(word));
        out.raw(b" ");
    }
}

/// Content-Type and Content-Disposition: parameters beyond ASCII in the form of RFC 2231 §4.
fn parameters(value: &[u8], out: &mut Text) -> Result<(), Impossible> {
    for (number, piece) in split_at_semicolons(value).into_iter().enumerate() {
        if number > 0 {
            out.raw(b";");
        }
        if fits(piece) {
            out.raw(piece);
            continue;
        }
        let equals = piece.iter().position(|byte| *byte == b'=').filter(|_| number > 0);
        // What follows is read by it.
        let Some(equals) = equals else { return Err(Impossible::Opaque) };
        let name = piece[..equals].trim_ascii();
        let is_known = fits(name) && !name.contains(&b'*');
        if !is_known || name.eq_ignore_ascii_case(b"boundary") {
            return Err(Impossible::Opaque);
        }
        parameter(&String::from_utf8_lossy(name), &plain_value(&piece[equals + 1..]), out);
    }
    Ok(())
}

fn split_at_semicolons(value: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(byte) = value.get(at) {
        match byte {
            b'"' => at = (at + quoted_length(&value[at..])).min(value.len()),
            b';' => {
                pieces.push(&value[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    pieces.push(&value[start..]);
    pieces
}

fn plain_value(raw: &[u8]) -> Vec<u8> {
    let value = unfold(raw);
    match value.strip_prefix(b"\"") {
        Some(inner) => unescaped(inner.strip_suffix(b"\"").unwrap_or(inner)),
        None => value.into_owned(),
    }
}

fn parameter(name: &str, value: &[u8], out: &mut Text) {
    let charset = if std::str::from_utf8(value).is_ok() { "utf-8" } else { UNKNOWN };
    let mut pieces = vec![format!("{charset}''")];
    for byte in value {
        let mut coded = String::new();
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            coded.push(char::from(*byte));
        } else {
            let _ = write!(coded, "%{byte:02X}");
        }
        match pieces.last_mut() {
            Some(last) if last.len() + coded.len() <= PIECE_BYTES => last.push_str(&coded),
            _ => pieces.push(coded),
        }
    }
    let several = pieces.len() > 1;
    for (number, piece) in pieces.iter().enumerate() {
        let between = if number > 0 { ";" } else { "" };
        let place = if several { format!("*{number}*") } else { "*".to_owned() };
        out.raw(between.as_bytes());
        out.word(&format!("{name}{place}={piece}"));
    }
}
