//! Rich Text Format: what stands in it as text.

use crate::job::Job;
use crate::{Outcome, charset};

/// How deep groups are told apart; deeper ones are as the last.
const DEPTH_MAX: usize = 200;

/// Groups that hold no text of the document.
const HIDDEN: [&str; 14] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "pict",
    "themedata",
    "colorschememapping",
    "latentstyles",
    "datastore",
    "xmlnstbl",
    "generator",
];

/// Properties of the document, and what they are called.
const PROPERTIES: [(&str, &str); 6] = [
    ("title", "title"),
    ("subject", "subject"),
    ("author", "author"),
    ("keywords", "keywords"),
    ("company", "company"),
    ("doccomm", "comments"),
];

#[derive(Clone, Copy, Default)]
struct Group {
    is_hidden: bool,
    /// The property whose value it holds.
    property: Option<&'static str>,
    /// How many characters stand for one beyond ASCII, for readers that know it not.
    skip: usize,
}

struct Reader<'a, 'j, 'l> {
    job: &'j mut Job<'l>,
    bytes: &'a [u8],
    at: usize,
    groups: Vec<Group>,
    /// Groups deeper than are told apart.
    deeper: usize,
    page: u32,
    /// Bytes of the document's code page that wait to be decoded together.
    pending: Vec<u8>,
    /// The value of a property.
    value: String,
    /// The first half of a character beyond the basic plane.
    high: Option<u32>,
    to_skip: usize,
}

pub(crate) fn read(job: &mut Job<'_>, bytes: &[u8]) {
    let group = Group { skip: 1, ..Group::default() };
    let mut reader = Reader {
        job,
        bytes,
        at: 0,
        groups: vec![group],
        deeper: 0,
        page: 1252,
        pending: Vec::new(),
        value: String::new(),
        high: None,
        to_skip: 0,
    };
    while let Some(byte) = reader.next() {
        reader.step(byte);
    }
    reader.flush();
}

impl Reader<'_, '_, '_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn group(&self) -> Group {
        self.groups.last().copied().unwrap_or_default()
    }

    fn change(&mut self, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.last_mut() {
            change(group);
        }
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'{' if self.groups.len() < DEPTH_MAX => {
                self.flush();
                let group = self.group();
                self.groups.push(group);
            }
            b'{' => self.deeper += 1,
            b'}' if self.deeper > 0 => self.deeper -= 1,
            b'}' => self.end_group(),
            b'\\' => self.control(),
            b'\r' | b'\n' => {}
            _ if self.to_skip > 0 => self.to_skip -= 1,
            byte => self.pending.push(byte),
        }
    }

    fn end_group(&mut self) {
        self.flush();
        let Some(group) = self.groups.pop() else { return };
        let outer = self.group().property;
        if let Some(name) = group.property
            && outer != group.property
        {
            let value = std::mem::take(&mut self.value);
            self.job.tell(name, &value);
        }
        if self.groups.is_empty() {
            self.groups.push(Group { skip: 1, ..Group::default() });
        }
    }

    /// Gives what waits to be decoded.
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let text = charset::decode_page(&self.pending, self.page);
            self.pending.clear();
            self.say(&text);
        }
    }

    fn say(&mut self, text: &str) {
        let group = self.group();
        if group.property.is_some() {
            self.value.push_str(text);
        } else if !group.is_hidden {
            self.job.say(text);
        }
    }

    fn control(&mut self) {
        match self.next() {
            Some(b'\'') => {
                let digits = [self.next(), self.next()].map(|byte| {
                    byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or_default() as u8
                });
                match self.to_skip {
                    0 => self.pending.push(digits[0] << 4 | digits[1]),
                    _ => self.to_skip -= 1,
                }
            }
            Some(b'*') => self.change(|group| group.is_hidden = true),
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.at -= 1;
                self.word();
            }
            Some(b'~') => self.pending.push(b' '),
            Some(b'_') => self.pending.push(b'-'),
            Some(byte @ (b'\\' | b'{' | b'}')) => self.pending.push(byte),
            Some(b'\n' | b'\r') => self.pending.push(b'\n'),
            _ => {}
        }
    }

    /// A word of control with its number, and the blank behind it.
    fn word(&mut self) {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let word = self.bytes.get(begin..self.at).unwrap_or_default();
        let begin = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.bytes.get(begin..self.at).unwrap_or_default();
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        let word = std::str::from_utf8(word).unwrap_or_default();
        self.obey(word, number);
    }

    fn obey(&mut self, word: &str, number: Option<i64>) {
        match word {
            "par" | "line" | "page" | "sect" | "row" => self.pending.push(b'\n'),
            "tab" | "cell" | "emspace" | "enspace" => self.pending.push(b' '),
            "ansicpg" => {
                self.page = number.and_then(|page| u32::try_from(page).ok()).unwrap_or(1252);
            }
            "uc" => {
                let skip = number.and_then(|skip| usize::try_from(skip).ok()).unwrap_or(1);
                self.change(|group| group.skip = skip.min(10));
            }
            "u" => self.unicode(number.unwrap_or_default()),
            "bin" => {
                let bytes = number.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
                self.at = self.at.saturating_add(bytes).min(self.bytes.len());
            }
            // A file of any kind in hexadecimal: it is not looked into.
            "objdata" => {
                self.change(|group| group.is_hidden = true);
                self.job.mark(Outcome::Unsupported);
            }
            _ if HIDDEN.contains(&word) => self.change(|group| group.is_hidden = true),
            _ => {
                if let Some((_, name)) = PROPERTIES.iter().find(|(known, _)| *known == word) {
                    self.value.clear();
                    self.change(|group| group.property = Some(name));
                }
            }
        }
    }

    /// A character by its number in UTF-16, which may be written as negative.
    fn unicode(&mut self, number: i64) {
        self.flush();
        self.to_skip = self.group().skip;
        let unit = u32::try_from(number.rem_euclid(65_536)).unwrap_or_default();
        let code = match (self.high.take(), unit) {
            (_, 0xd800..0xdc00) => {
                self.high = Some(unit);
                return;
            }
            (Some(high), 0xdc00..0xe000) => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            (_, unit) => unit,
        };
        let mut buffer = [0; 4];
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.say(character.encode_utf8(&mut buffer));
    }
}
