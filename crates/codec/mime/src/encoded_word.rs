//! Encoded words of RFC 2047, both directions. What comes out of [`decode()`] is one line of text
//! without control characters, whatever was encoded (attack 40).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::charset;
use crate::decode::{self, TransferEncoding};
use crate::params::hex;

/// The longest character set name with a language looked at (RFC 2231 §5).
const LABEL_BYTES: usize = 64;
/// Octets of UTF-8 in one word we write: 45 octets are 60 of base64, and with `=?UTF-8?B?…?=` the
/// word has 72 of the 75 that RFC 2047 §2 allows.
const WORD_BYTES: usize = 45;

/// Decodes an unfolded value. Words that split a character are put together first, white space
/// between words goes, broken words stay as they are, 8-bit octets outside words are guessed.
pub fn decode(value: &[u8]) -> String {
    let mut decoder = Words { text: String::with_capacity(value.len()), pending: None };
    let mut plain = 0;
    let mut at = 0;
    let mut closed = true;
    while let Some(found) = value[at..].windows(2).position(|pair| pair == b"=?") {
        let start = at + found;
        match word(value, start, &mut closed) {
            Some(word) => {
                decoder.plain(&value[plain..start], true);
                at = word.end;
                plain = word.end;
                decoder.word(word);
            }
            None if closed => at = start + 2,
            // Nothing ends a word from here on: do not look again at each beginning.
            None => break,
        }
    }
    decoder.plain(&value[plain..], false);
    decoder.flush();
    neutral(&decoder.text)
}

struct Words<'a> {
    text: String,
    pending: Option<(&'a [u8], Vec<u8>)>,
}

struct Word<'a> {
    label: &'a [u8],
    bytes: Vec<u8>,
    end: usize,
}

impl<'a> Words<'a> {
    fn plain(&mut self, bytes: &[u8], before_word: bool) {
        let between = before_word && self.pending.is_some();
        if bytes.is_empty() || between && bytes.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.flush();
        self.text.push_str(&charset::to_utf8(b"", bytes));
    }

    fn word(&mut self, word: Word<'a>) {
        match &mut self.pending {
            Some((label, bytes))
                if label.eq_ignore_ascii_case(word.label) && !has_shifts(word.label) =>
            {
                bytes.extend(word.bytes);
            }
            _ => {
                self.flush();
                self.pending = Some((word.label, word.bytes));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((label, bytes)) = self.pending.take() {
            self.text.push_str(&charset::to_utf8(label, &bytes));
        }
    }
}

/// ISO-2022 words each begin and end in ASCII (RFC 1468); put together, the end of one and the
/// beginning of the next would be two escape sequences in a row, which decoders take for an attack.
fn has_shifts(label: &[u8]) -> bool {
    label.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"iso-2022"))
}

/// The encoded word at `start`, where `=?` stands. Clears `closed` where no `?=` follows at all.
fn word<'a>(value: &'a [u8], start: usize, closed: &mut bool) -> Option<Word<'a>> {
    let head = &value[start + 2..];
    let label_end = head.iter().take(LABEL_BYTES).position(|byte| *byte == b'?')?;
    let label = &head[..label_end];
    let [b'?', encoding, b'?', text @ ..] = &head[label_end..] else {
        return None;
    };
    if label.is_empty() || label.iter().any(|byte| byte.is_ascii_whitespace()) {
        return None;
    }
    let transfer = match encoding {
        b'b' | b'B' => Some(TransferEncoding::Base64),
        b'q' | b'Q' => None,
        _ => return None,
    };
    let Some(length) = text.windows(2).position(|pair| pair == b"?=") else {
        *closed = false;
        return None;
    };
    let bytes = match transfer {
        Some(transfer) => decode::whole(transfer, &text[..length]),
        None => q_decoded(&text[..length]),
    };
    let label = label.split(|byte| *byte == b'*').next().unwrap_or(label);
    Some(Word { label, bytes, end: value.len() - text.len() + length + 2 })
}

fn q_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'=', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'='),
            },
            (b'_', _) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
    }
    decoded
}

/// `text` with each control character and line or paragraph separator replaced by a space, and
/// without byte order marks, which have no place inside a line.
pub fn neutral(text: &str) -> String {
    let separates = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().filter(|c| *c != '\u{feff}').map(|c| if separates(c) { ' ' } else { c }).collect()
}

/// Encodes text for an unstructured field. ASCII that cannot be misread stays as it is; all else
/// becomes UTF-8 words of at most 75 octets, split between characters, one space apart so that a
/// header may be folded between them. Control characters become spaces.
pub fn encode(text: &str) -> String {
    let text = neutral(text);
    if text.is_ascii() && !text.contains("=?") {
        return text;
    }
    let mut words: Vec<String> = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(head)));
        rest = tail;
    }
    words.join(" ")
}

/// Encodes a display name: atoms as they are, other ASCII as a quoted string, else encoded words
/// (RFC 5322 §3.2.5, RFC 2047 §5).
pub fn encode_phrase(name: &str) -> String {
    let name = neutral(name);
    let name = name.trim();
    if !name.is_ascii() || name.contains("=?") {
        return encode(name);
    }
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if !name.is_empty() && name.chars().all(atom) && !name.contains("  ") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
