//! A cursor over one unfolded structured field body (RFC 5322 §3.2). It only moves forward, so
//! whatever is built on it is linear.

use bytes::Bytes;

pub(crate) struct Lexer<'a> {
    text: &'a Bytes,
    at: usize,
    unended: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a Bytes) -> Self {
        Lexer { text, at: 0, unended: false }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn bump(&mut self) {
        self.at = (self.at + 1).min(self.text.len());
    }

    /// Whether a comment or a quoted string did not end.
    pub(crate) fn has_unended(&self) -> bool {
        self.unended
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Octets from `start` to the cursor, white space trimmed.
    pub(crate) fn since(&self, start: usize) -> Bytes {
        trimmed(&self.text.slice(start.min(self.at)..self.at))
    }

    /// Moves past octets while `wanted` holds and gives them.
    pub(crate) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> Bytes {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.text.slice(start..self.at)
    }

    /// Skips white space and comments; gives the text of the last comment.
    pub(crate) fn skip_cfws(&mut self) -> Option<Bytes> {
        let mut comment = None;
        while let Some(byte) = self.peek() {
            match byte {
                b'(' => comment = Some(self.comment()),
                _ if is_space(byte) => self.at += 1,
                _ => break,
            }
        }
        comment
    }

    /// The comment at the cursor; one that never ends takes the rest. Nesting is only counted.
    fn comment(&mut self) -> Bytes {
        self.at += 1;
        let start = self.at;
        let mut depth = 1_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.bump(),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let text = self.since(start);
                self.bump();
                return text;
            }
            self.bump();
        }
        self.unended = true;
        self.since(start)
    }

    /// The quoted string at the cursor without quotes and escapes; one that never ends takes the
    /// rest. Copies only where there are escapes.
    pub(crate) fn quoted_string(&mut self) -> Bytes {
        self.bump();
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let plain = self.text.slice(start..self.at);
                    self.at += 1;
                    return unescaped.map_or(plain, Bytes::from);
                }
                b'\\' => {
                    let copy = unescaped.get_or_insert_with(|| self.text[start..self.at].to_vec());
                    self.at += 1;
                    copy.extend(self.text.get(self.at));
                }
                _ => {
                    if let Some(copy) = &mut unescaped {
                        copy.push(byte);
                    }
                }
            }
            self.bump();
        }
        self.unended = true;
        unescaped.map_or_else(|| self.text.slice(start..self.at), Bytes::from)
    }
}

/// Space, tab, and whatever the caller did not unfold.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without white space at its ends, sharing its memory.
pub(crate) fn trimmed(text: &Bytes) -> Bytes {
    let Some(start) = text.iter().position(|byte| !is_space(*byte)) else {
        return Bytes::new();
    };
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    text.slice(start..end)
}
