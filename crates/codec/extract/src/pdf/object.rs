//! Objects, and reading them.

use super::DEPTH_MAX;

/// How many values an array or a dictionary may have.
const VALUES_MAX: usize = 100_000;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Object {
    Null,
    Number(f64),
    String(Vec<u8>),
    Name(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    Reference(u32),
}

impl Object {
    pub(super) fn string(&self) -> Option<&[u8]> {
        match self {
            Self::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn reference(&self) -> Option<u32> {
        match self {
            Self::Reference(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A number that counts something.
    pub(super) fn count(&self) -> Option<usize> {
        let number = self.number().filter(|number| *number >= 0.0 && *number < 1e12)?;
        Some(number as usize)
    }
}

/// A dictionary; of two values with one key the first counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Dict(pub(super) Vec<(Vec<u8>, Object)>);

impl Dict {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Object> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn name(&self, key: &[u8]) -> Option<&[u8]> {
        match self.get(key)? {
            Object::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// What stands in a file or a page, one after the other.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Value(Object),
    /// A word: an operator, or `obj`, `stream`, `endobj`.
    Word(Vec<u8>),
}

#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.at += 1;
                }
            } else if is_blank(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next value or word; `None` at the end. References are put together only where
    /// `with_references` says that there can be some.
    pub(super) fn next(&mut self, with_references: bool) -> Option<Token> {
        self.value(with_references, 0)
    }

    fn value(&mut self, with_references: bool, depth: usize) -> Option<Token> {
        self.skip_blanks();
        let value = match self.peek()? {
            b'(' => Object::String(self.literal()),
            b'/' => {
                self.at += 1;
                Object::Name(self.name())
            }
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                Object::Dict(self.dict(with_references, depth))
            }
            b'<' => Object::String(self.hex()),
            b'[' => {
                self.at += 1;
                Object::Array(self.array(with_references, depth))
            }
            byte if is_delimiter(byte) => {
                self.at += 1;
                return Some(Token::Word(vec![byte]));
            }
            _ => return Some(self.word(with_references)),
        };
        Some(Token::Value(value))
    }

    fn array(&mut self, with_references: bool, depth: usize) -> Vec<Object> {
        let mut list = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return list;
                }
                None => return list,
                Some(_) if depth >= DEPTH_MAX || list.len() >= VALUES_MAX => return list,
                Some(_) => match self.value(with_references, depth + 1) {
                    Some(Token::Value(value)) => list.push(value),
                    // It ends where the object does.
                    Some(Token::Word(word)) if ends_object(&word) => return list,
                    Some(Token::Word(_)) => {}
                    None => return list,
                },
            }
        }
    }

    fn dict(&mut self, with_references: bool, depth: usize) -> Dict {
        let mut dict = Dict::default();
        loop {
            self.skip_blanks();
            if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b">>")) {
                self.at += 2;
                return dict;
            }
            if depth >= DEPTH_MAX || dict.0.len() >= VALUES_MAX {
                return dict;
            }
            let key = match self.value(with_references, depth + 1) {
                Some(Token::Value(Object::Name(name))) => name,
                Some(Token::Word(word)) if ends_object(&word) => return dict,
                None => return dict,
                Some(_) => continue,
            };
            self.skip_blanks();
            // A key without a value is the last one.
            if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b">>")) {
                continue;
            }
            match self.value(with_references, depth + 1) {
                Some(Token::Value(value)) => dict.0.push((key, value)),
                Some(Token::Word(word)) if ends_object(&word) => return dict,
                Some(Token::Word(_)) => dict.0.push((key, Object::Null)),
                None => return dict,
            }
        }
    }

    fn name(&mut self) -> Vec<u8> {
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !is_blank(*byte) && !is_delimiter(*byte)) {
            self.at += 1;
            let digits = self.bytes.get(self.at..self.at + 2).unwrap_or_default();
            match (byte, hex_pair(digits)) {
                (b'#', Some(decoded)) => {
                    self.at += 2;
                    name.push(decoded);
                }
                _ => name.push(byte),
            }
        }
        name
    }

    /// A string in parentheses, which may stand in it in pairs.
    fn literal(&mut self) -> Vec<u8> {
        let (mut out, mut depth) = (Vec::new(), 0_usize);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => {
                    depth += 1;
                    if depth > 1 {
                        out.push(byte);
                    }
                }
                b')' if depth <= 1 => return out,
                b')' => {
                    depth -= 1;
                    out.push(byte);
                }
                b'\\' => self.escape(&mut out),
                byte => out.push(byte),
            }
        }
        out
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' | b'f' => {}
            b'\r' => self.at += usize::from(self.peek() == Some(b'\n')),
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().filter(|byte| (b'0'..=b'7').contains(byte))
                    else {
                        break;
                    };
                    self.at += 1;
                    code = code * 8 + u32::from(digit - b'0');
                }
                out.push(code as u8);
            }
            byte => out.push(byte),
        }
    }

    fn hex(&mut self) -> Vec<u8> {
        self.at += 1;
        let begin = self.at;
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
        self.at = (begin + length + 1).min(self.bytes.len());
        super::filter::hex(rest.get(..length).unwrap_or_default())
    }

    /// A number, a reference (`7 0 R`), or a word.
    fn word(&mut self, with_references: bool) -> Token {
        let word = self.plain();
        let Some(number) = number(word) else {
            return match word {
                b"null" | b"true" | b"false" => Token::Value(Object::Null),
                word => Token::Word(word.to_vec()),
            };
        };
        let count = Object::Number(number).count().filter(|_| number.fract() == 0.0);
        if with_references
            && let Some(count) = count
            && let Some(ahead) = self.reference_ahead()
        {
            self.at = ahead;
            let target = u32::try_from(count).unwrap_or(u32::MAX);
            return Token::Value(Object::Reference(target));
        }
        Token::Value(Object::Number(number))
    }

    /// Where `0 R` ends, if that comes next.
    fn reference_ahead(&self) -> Option<usize> {
        let mut ahead = *self;
        ahead.skip_blanks();
        let generation = ahead.plain();
        if generation.is_empty() || !generation.iter().all(u8::is_ascii_digit) {
            return None;
        }
        ahead.skip_blanks();
        (ahead.plain() == b"R").then_some(ahead.at)
    }

    /// Bytes up to a blank or a delimiter; one at least where there is one.
    fn plain(&mut self) -> &'a [u8] {
        let begin = self.at;
        while self.peek().is_some_and(|byte| !is_blank(byte) && !is_delimiter(byte)) {
            self.at += 1;
        }
        self.bytes.get(begin..self.at).unwrap_or_default()
    }
}

/// Whether a word can stand in no object.
fn ends_object(word: &[u8]) -> bool {
    matches!(word, b"endobj" | b"obj" | b"stream" | b"endstream" | b"xref" | b"trailer")
}

fn number(word: &[u8]) -> Option<f64> {
    let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    if word.is_empty() || word.len() > 40 || !word.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

pub(super) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? << 4 | digit(*low)?) as u8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Object) {
        assert_eq!(Lexer::new(text.as_bytes()).next(true), Some(Token::Value(expect)), "{text}");
    }

    #[test]
    fn objects_are_read() {
        let name = |text: &str| Object::Name(text.as_bytes().to_vec());
        let string = |text: &str| Object::String(text.as_bytes().to_vec());
        check(" % remark\n 12 ", Object::Number(12.0));
        check("-.5", Object::Number(-0.5));
        check("7 0 R", Object::Reference(7));
        check("/A#20b", name("A b"));
        check(r"(a(b)\)\101\n\q)", string("a(b))A\nq"));
        check("<48 656>", string("He`"));
        check("[1 2 0 R /x null]", {
            Object::Array(vec![Object::Number(1.0), Object::Reference(2), name("x"), Object::Null])
        });
        let dict =
            Dict(vec![(b"A".to_vec(), Object::Dict(Dict(vec![(b"B".to_vec(), name("c"))])))]);
        check("<</A<</B/c>>>>", Object::Dict(dict));
    }

    #[test]
    fn attack_38_objects_in_objects_end() {
        for text in ["[".repeat(100_000), "<</A".repeat(100_000), "(".repeat(100_000)] {
            let mut lexer = Lexer::new(text.as_bytes());
            while lexer.next(true).is_some() {}
            assert_eq!(lexer.at, text.len());
        }
    }
}
