//! From the codes of a font to characters: ToUnicode.

use super::object::{Lexer, Object, Token};
use std::collections::BTreeMap;

/// How many codes and ranges of codes a font may name.
const ENTRIES_MAX: usize = 100_000;

#[derive(Default, Debug)]
pub(super) struct CMap {
    /// Whether there are codes of one byte, and of two.
    pub(super) has_short: bool,
    pub(super) has_long: bool,
    characters: BTreeMap<u32, String>,
    /// From the first code on: the last code, and the character of the first.
    ranges: BTreeMap<u32, (u32, String)>,
}

impl CMap {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut operands: Vec<Object> = Vec::new();
        let mut lexer = Lexer::new(bytes);
        while let Some(token) = lexer.next(false) {
            match token {
                Token::Value(value) if operands.len() < ENTRIES_MAX => operands.push(value),
                Token::Value(_) => {}
                Token::Word(word) => {
                    match &word[..] {
                        b"endcodespacerange" => map.take_space(&operands),
                        b"endbfchar" => map.take_characters(&operands),
                        b"endbfrange" => map.take_ranges(&operands),
                        _ => {}
                    }
                    operands.clear();
                }
            }
        }
        map
    }

    fn take_space(&mut self, operands: &[Object]) {
        for end in operands.iter().filter_map(Object::string) {
            self.has_short |= end.len() == 1;
            self.has_long |= end.len() == 2;
        }
    }

    fn is_full(&self) -> bool {
        self.characters.len() + self.ranges.len() >= ENTRIES_MAX
    }

    fn take_characters(&mut self, operands: &[Object]) {
        for pair in operands.chunks_exact(2) {
            if let [Object::String(code), Object::String(text)] = pair
                && !self.is_full()
            {
                self.characters.insert(number(code), utf16(text));
            }
        }
    }

    fn take_ranges(&mut self, operands: &[Object]) {
        for three in operands.chunks_exact(3) {
            let [Object::String(first), Object::String(last), to] = three else { continue };
            let (first, last) = (number(first), number(last));
            match to {
                Object::String(text) if !self.is_full() => {
                    self.ranges.insert(first, (last, utf16(text)));
                }
                Object::Array(list) => {
                    for (code, text) in (first..=last).zip(list) {
                        if let Some(text) = text.string()
                            && !self.is_full()
                        {
                            self.characters.insert(code, utf16(text));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds what a code stands for; says whether that is known.
    pub(super) fn append(&self, code: u32, out: &mut String) -> bool {
        if let Some(text) = self.characters.get(&code) {
            out.push_str(text);
            return true;
        }
        let Some((first, (last, text))) = self.ranges.range(..=code).next_back() else {
            return false;
        };
        if code > *last {
            return false;
        }
        // The last character counts up with the code.
        let mut characters = text.chars();
        let end = characters.next_back().map(u32::from).unwrap_or_default();
        let shifted = end.checked_add(code - first).and_then(char::from_u32);
        out.push_str(characters.as_str());
        out.extend(shifted);
        true
    }
}

fn number(code: &[u8]) -> u32 {
    code.iter().take(4).fold(0, |all, byte| all << 8 | u32::from(*byte))
}

pub(super) fn utf16(bytes: &[u8]) -> String {
    let unit = |two: &[u8]| match two {
        [high, low] => u16::from(*high) << 8 | u16::from(*low),
        [one] => u16::from(*one),
        _ => 0,
    };
    let units: Vec<u16> = bytes.chunks(2).map(unit).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_characters() {
        let map = CMap::parse(
            b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
              2 beginbfchar <0003> <0020> <0005> <00660066> endbfchar\n\
              2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<0058> <0059>] endbfrange",
        );
        let check = |code, expect: &str| {
            let mut out = String::new();
            assert_eq!(map.append(code, &mut out), !expect.is_empty(), "{code}");
            assert_eq!(out, expect);
        };
        assert!(map.has_long && !map.has_short);
        check(3, " ");
        check(5, "ff");
        check(0x12, "C");
        check(0x13, "");
        check(0x21, "Y");
        check(1, "");
    }

    #[test]
    fn attack_38_ranges_cost_no_memory() {
        let text = b"<00000000> <ffffffff> <0041> endbfrange".repeat(10);
        let map = CMap::parse(&text);
        let mut out = String::new();
        assert!(map.append(u32::MAX, &mut out));
    }
}
