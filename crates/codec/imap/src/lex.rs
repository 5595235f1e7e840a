//! The cursor every command parser reads with: atoms, strings, numbers, literals (RFC 3501 §9).
//!
//! A raw command alternates text and literals, so a cursor is (part, byte in the text). Results are
//! slices of the received buffer; only a quoted string with escapes is copied.

use crate::error::{ParseError, ParseErrorKind};
use crate::framer::{Part, RawCommand};
use crate::limits::MAX_NUMBER64;
use crate::value::Names;
use bytes::Bytes;

/// ATOM-CHAR of RFC 3501 §9.
pub(crate) fn is_atom_char(b: u8) -> bool {
    matches!(b, 0x21..=0x7e) && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// ASTRING-CHAR: ATOM-CHAR and `]`.
pub(crate) fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

/// The characters of command words and data item names.
fn is_word_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')
}

/// A place in a command, for errors that point back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

/// A short word in upper case, for matching. Longer words match nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    text: [u8; Word::MAX],
    len: usize,
}

impl Word {
    const MAX: usize = 20;

    fn new(text: &[u8]) -> Word {
        let mut word = Word { text: [0; Word::MAX], len: 0 };
        if text.len() <= Word::MAX {
            word.len = text.len();
            word.text[..text.len()].copy_from_slice(text);
            word.text.make_ascii_uppercase();
        }
        word
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

/// Reads one raw command from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    parts: &'a [Part],
    /// Index of the current text part; literals sit at the odd indexes.
    part: usize,
    pos: usize,
    /// Bytes of all parts before the current one.
    base: usize,
    /// Whether mailbox names are UTF-8 as they are.
    utf8_names: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(raw: &'a RawCommand) -> Cursor<'a> {
        Cursor { parts: raw.parts(), part: 0, pos: 0, base: 0, utf8_names: false }
    }

    /// The same, with mailbox names as [`Names`] says.
    pub(crate) fn with_names(raw: &'a RawCommand, names: Names) -> Cursor<'a> {
        Cursor { utf8_names: names == Names::Utf8, ..Cursor::new(raw) }
    }

    pub(crate) fn names(&self) -> Names {
        if self.utf8_names { Names::Utf8 } else { Names::Utf7 }
    }

    fn text(&self) -> Option<&'a Bytes> {
        match self.parts.get(self.part) {
            Some(Part::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text().and_then(|text| text.get(self.pos..)).unwrap_or_default()
    }

    /// The next byte of text; `None` at a literal and at the end.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.base + self.pos)
    }

    pub(crate) fn error_at(&self, at: Mark, what: &'static str) -> ParseError {
        ParseError { tag: None, kind: ParseErrorKind::Syntax, what, offset_bytes: at.0 }
    }

    pub(crate) fn error(&self, what: &'static str) -> ParseError {
        self.error_at(self.mark(), what)
    }

    pub(crate) fn too_much(&self, what: &'static str) -> ParseError {
        ParseError { kind: ParseErrorKind::TooMuch, ..self.error(what) }
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ParseError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(what)) }
    }

    /// Exactly one space between arguments, as the grammar wants it.
    pub(crate) fn space(&mut self) -> Result<(), ParseError> {
        self.expect(b' ', "a space")
    }

    /// Whether the command ends here. Spaces before the end are forgiven: some clients send them.
    pub(crate) fn at_end(&self) -> bool {
        self.part + 1 >= self.parts.len() && self.rest().iter().all(|&b| b == b' ')
    }

    pub(crate) fn end(&self) -> Result<(), ParseError> {
        if self.at_end() { Ok(()) } else { Err(self.error("the end of the command")) }
    }

    /// The longest run of bytes of a class, possibly empty.
    pub(crate) fn take_while(&mut self, class: impl Fn(u8) -> bool) -> Bytes {
        let rest = self.rest();
        let len = rest.iter().position(|&b| !class(b)).unwrap_or(rest.len());
        let taken = self.text().map(|text| text.slice(self.pos..self.pos + len));
        self.pos += len;
        taken.unwrap_or_default()
    }

    /// A command word or item name in upper case, possibly empty.
    pub(crate) fn word(&mut self) -> Word {
        let rest = self.rest();
        let len = rest.iter().position(|&b| !is_word_char(b)).unwrap_or(rest.len());
        self.pos += len;
        Word::new(&rest[..len])
    }

    pub(crate) fn atom(&mut self, what: &'static str) -> Result<Bytes, ParseError> {
        let atom = self.take_while(is_atom_char);
        if atom.is_empty() { Err(self.error(what)) } else { Ok(atom) }
    }

    /// `NIL`, if it stands here as a whole word.
    pub(crate) fn eat_nil(&mut self) -> bool {
        let rest = self.rest();
        let word = rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"NIL"));
        let whole = !rest.get(3).is_some_and(|&b| is_astring_char(b));
        if word && whole {
            self.pos += 3;
        }
        word && whole
    }

    /// Whether a literal (or the streamed literal of APPEND) comes next.
    fn next_literal(&self) -> Option<&'a Part> {
        if self.rest().is_empty() { self.parts.get(self.part + 1) } else { None }
    }

    /// Steps over the literal that comes next, of whatever form.
    pub(crate) fn literal_part(&mut self, what: &'static str) -> Result<&'a Part, ParseError> {
        let part = self.next_literal().ok_or_else(|| self.error(what))?;
        let literal_bytes = match part {
            Part::Text(_) => return Err(self.error(what)),
            Part::Literal { bytes, .. } => bytes.len(),
            Part::Streamed { .. } => 0,
        };
        self.base += self.pos + literal_bytes;
        self.part += 2;
        self.pos = 0;
        Ok(part)
    }

    /// A quoted string or a literal; NUL is refused in both (RFC 3501 §9 CHAR8).
    pub(crate) fn string(&mut self, what: &'static str) -> Result<Bytes, ParseError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let at = self.mark();
        match self.literal_part(what)? {
            Part::Literal { bytes, binary: false } if !bytes.contains(&0) => Ok(bytes.clone()),
            _ => Err(self.error_at(at, "a string without NUL")),
        }
    }

    /// A quoted string. 8-bit bytes pass: many clients send UTF-8; the user of the value decides.
    fn quoted(&mut self) -> Result<Bytes, ParseError> {
        self.expect(b'"', "a quoted string")?;
        let plain =
            self.take_while(|b| b >= 0x20 && !matches!(b, b'"' | b'\\' | 0x7f) || b == b'\t');
        if self.eat(b'"') {
            return Ok(plain);
        }
        let mut text = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => {
                    self.pos += 1;
                    match self.peek() {
                        Some(b @ (b'"' | b'\\')) => text.push(b),
                        _ => return Err(self.error("an escaped quote or backslash")),
                    }
                }
                Some(b) if b >= 0x20 && b != 0x7f || b == b'\t' => text.push(b),
                _ => return Err(self.error("the end of the quoted string")),
            }
            self.pos += 1;
        }
    }

    /// An atom (with `]`) or a string.
    pub(crate) fn astring(&mut self, what: &'static str) -> Result<Bytes, ParseError> {
        self.astring_of(is_astring_char, what)
    }

    /// A run of a class of bytes or a string; a string may be empty, a bare word may not.
    pub(crate) fn astring_of(
        &mut self,
        class: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Result<Bytes, ParseError> {
        match self.peek() {
            Some(b'"') | None => self.string(what),
            Some(_) => {
                let text = self.take_while(class);
                if text.is_empty() { Err(self.error(what)) } else { Ok(text) }
            }
        }
    }

    /// A string in UTF-8.
    pub(crate) fn utf8(&mut self, what: &'static str) -> Result<String, ParseError> {
        let at = self.mark();
        let bytes = self.astring(what)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error_at(at, "UTF-8")),
        }
    }

    /// A decimal number up to `max`.
    fn number_to(&mut self, max: u64, what: &'static str) -> Result<u64, ParseError> {
        let at = self.mark();
        let digits = self.take_while(|b| b.is_ascii_digit());
        let mut number = 0u64;
        for &digit in &digits {
            let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
            match next {
                Some(next) if next <= max => number = next,
                _ => return Err(self.error_at(at, what)),
            }
        }
        if digits.is_empty() { Err(self.error_at(at, what)) } else { Ok(number) }
    }

    /// A 63-bit number (RFC 9051 number64), which includes every `number` of RFC 3501.
    pub(crate) fn number64(&mut self, what: &'static str) -> Result<u64, ParseError> {
        self.number_to(MAX_NUMBER64, what)
    }

    /// A number of 1 to 2^32-1.
    pub(crate) fn nz_number(&mut self, what: &'static str) -> Result<u32, ParseError> {
        let at = self.mark();
        match self.number_to(u64::from(u32::MAX), what)? {
            0 => Err(self.error_at(at, what)),
            number => Ok(number as u32),
        }
    }

    /// A number of 0 to 2^32-1.
    pub(crate) fn digits_u32(&mut self) -> Result<u32, ParseError> {
        Ok(self.number_to(u64::from(u32::MAX), "a number")? as u32)
    }

    /// A quoted string or a literal with whatever is in it, as responses have them.
    pub(crate) fn any_string(&mut self, what: &'static str) -> Result<Bytes, ParseError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        match self.literal_part(what)? {
            Part::Literal { bytes, .. } => Ok(bytes.clone()),
            _ => Err(self.error(what)),
        }
    }

    /// A bare word of a response: up to a space, a parenthesis, a quote or `end`, except that a
    /// section in brackets belongs to the word with all that is in it.
    pub(crate) fn response_atom(&mut self, end: Option<u8>) -> Result<Bytes, ParseError> {
        let rest = self.rest();
        let (mut in_section, mut in_quotes, mut escaped) = (false, false, false);
        let len = rest.iter().position(|&b| {
            if in_quotes {
                in_quotes = escaped || b != b'"';
                escaped = !escaped && b == b'\\';
                return false;
            }
            if in_section {
                in_section = b != b']';
                in_quotes = b == b'"';
                return false;
            }
            if matches!(b, b' ' | b'(' | b')' | b'"') || Some(b) == end {
                return true;
            }
            in_section = b == b'[';
            false
        });
        let len = len.unwrap_or(rest.len());
        if len == 0 || in_section || in_quotes {
            return Err(self.error("a word"));
        }
        let word = self.text().map(|text| text.slice(self.pos..self.pos + len));
        self.pos += len;
        Ok(word.unwrap_or_default())
    }

    /// Exactly `len` digits.
    pub(crate) fn digits(&mut self, len: usize, what: &'static str) -> Result<u32, ParseError> {
        let at = self.mark();
        let rest = self.rest();
        let digits = rest.get(..len).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.ok_or_else(|| self.error_at(at, what))?;
        self.pos += len;
        Ok(digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
    }

    /// Exactly three letters in upper case.
    pub(crate) fn letters3(&mut self, what: &'static str) -> Result<[u8; 3], ParseError> {
        let letters = match self.rest() {
            [a, b, c, ..] => [*a, *b, *c].map(|b| b.to_ascii_uppercase()),
            _ => return Err(self.error(what)),
        };
        self.pos += 3;
        Ok(letters)
    }
}
