//! All objects of a file, by number.

use super::filter;
use super::object::{Dict, Lexer, Object, Token, is_blank};
use super::{DEPTH_MAX, OBJECTS_MAX};
use crate::Outcome;
use crate::job::Job;
use std::collections::BTreeMap;
use std::ops::Range;

/// How many trailers are read, from the end.
const TRAILERS_MAX: usize = 16;

/// What a reference to nothing means.
static NULL: Object = Object::Null;

pub(super) struct Document<'a> {
    bytes: &'a [u8],
    objects: BTreeMap<u32, Stored>,
    pub(super) is_encrypted: bool,
    information: Option<u32>,
}

struct Stored {
    value: Object,
    /// Where its bytes are, where it has some.
    stream: Option<Range<usize>>,
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|some| some == what).map(|at| from + at)
}

impl<'a> Document<'a> {
    pub(super) fn parse(job: &mut Job<'_>, bytes: &'a [u8]) -> Self {
        let objects = BTreeMap::new();
        let mut document = Self { bytes, objects, is_encrypted: false, information: None };
        document.walk(job);
        document.trailers();
        if !document.is_encrypted {
            document.unpack_objects(job);
        }
        document
    }

    /// Finds `7 0 obj`, one behind the other. Of two with one number the last counts: it was put
    /// behind the file by a change.
    fn walk(&mut self, job: &mut Job<'_>) {
        let mut at = 0;
        while let Some(place) = find(self.bytes, b"obj", at) {
            at = place + 3;
            let Some(number) = number_before(self.bytes, place) else { continue };
            if self.objects.len() >= OBJECTS_MAX {
                return job.mark(Outcome::Exceeded);
            }
            let mut lexer = Lexer { bytes: self.bytes, at };
            let Some(Token::Value(value)) = lexer.next(true) else { continue };
            let end = lexer.at;
            let stream = match lexer.next(true) {
                Some(Token::Word(word)) if word == b"stream" => {
                    let Some(stream) = self.stream_at(lexer.at, &value) else {
                        return job.mark(Outcome::Damaged);
                    };
                    Some(stream)
                }
                None => return job.mark(Outcome::Damaged),
                Some(_) => None,
            };
            at = stream.as_ref().map_or(end, |stream| stream.end);
            self.objects.insert(number, Stored { value, stream });
        }
    }

    /// The bytes of a stream that begins behind its word: as long as it says, where its end is there,
    /// else up to the next end.
    fn stream_at(&self, behind: usize, value: &Object) -> Option<Range<usize>> {
        let begin = match self.bytes.get(behind..)? {
            [b'\r', b'\n', ..] => behind + 2,
            [b'\r' | b'\n', ..] => behind + 1,
            _ => behind,
        };
        if let Object::Dict(dict) = value
            && let Some(length) = dict.get(b"Length").and_then(Object::count)
            && let Some(end) = begin.checked_add(length)
            && let Some(rest) = self.bytes.get(end..)
            && rest.iter().take(4).skip_while(|byte| is_blank(**byte)).take(1).eq([&b'e'])
        {
            return Some(begin..end);
        }
        find(self.bytes, b"endstream", begin).map(|end| begin..end)
    }

    fn trailers(&mut self) {
        let mut dicts = Vec::new();
        let mut end = self.bytes.len();
        for _ in 0..TRAILERS_MAX {
            let before = self.bytes.get(..end).unwrap_or_default();
            let Some(at) = before.windows(7).rposition(|some| some == b"trailer") else { break };
            let mut lexer = Lexer { bytes: self.bytes, at: at + 7 };
            if let Some(Token::Value(Object::Dict(dict))) = lexer.next(true) {
                dicts.push(dict);
            }
            end = at;
        }
        let tables = self.objects.values().filter_map(|stored| match &stored.value {
            Object::Dict(dict) if dict.name(b"Type") == Some(b"XRef") => Some(dict),
            _ => None,
        });
        for dict in dicts.iter().chain(tables) {
            self.is_encrypted |= dict.get(b"Encrypt").is_some();
            self.information = self.information.or(dict.get(b"Info").and_then(Object::reference));
        }
    }

    /// Takes the objects out of streams that hold several.
    fn unpack_objects(&mut self, job: &mut Job<'_>) {
        let is_holder = |number: &u32| {
            self.dict(*number).is_some_and(|dict| dict.name(b"Type") == Some(b"ObjStm"))
        };
        let holders: Vec<u32> = self.objects.keys().copied().filter(is_holder).collect();
        for holder in holders {
            let bytes = self.stream(job, holder);
            let number = |key: &[u8]| self.dict(holder)?.get(key)?.count();
            let (Some(count), Some(first)) = (number(b"N"), number(b"First")) else { continue };
            let mut head = Lexer::new(bytes.get(..first).unwrap_or_default());
            for _ in 0..count.min(OBJECTS_MAX) {
                let Some(number) = next_count(&mut head) else { break };
                let Some(place) = next_count(&mut head) else { break };
                if self.objects.len() >= OBJECTS_MAX || job.unpack_left() == 0 {
                    return job.mark(Outcome::Exceeded);
                }
                let at = first.saturating_add(place);
                let mut lexer = Lexer { bytes: &bytes, at: at.min(bytes.len()) };
                let value = lexer.next(true);
                // Objects that lie over each other are read again, and that counts.
                job.unpacked(lexer.at.saturating_sub(at));
                if let (Some(Token::Value(value)), Ok(number)) = (value, u32::try_from(number)) {
                    self.objects.entry(number).or_insert(Stored { value, stream: None });
                }
            }
        }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.objects.keys().copied()
    }

    /// The dictionary of an object.
    pub(super) fn dict(&self, number: u32) -> Option<&Dict> {
        match &self.objects.get(&number)?.value {
            Object::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// What stands behind references.
    pub(super) fn resolve<'o>(&'o self, object: &'o Object) -> &'o Object {
        let mut found = object;
        for _ in 0..DEPTH_MAX {
            let Object::Reference(number) = found else { return found };
            match self.objects.get(number) {
                Some(stored) => found = &stored.value,
                None => return &NULL,
            }
        }
        &NULL
    }

    /// What stands under a key, behind references.
    pub(super) fn value<'o>(&'o self, dict: &'o Dict, key: &[u8]) -> Option<&'o Object> {
        dict.get(key).map(|value| self.resolve(value))
    }

    /// The same, where it is a dictionary.
    pub(super) fn dict_in<'o>(&'o self, dict: &'o Dict, key: &[u8]) -> Option<&'o Dict> {
        match self.value(dict, key)? {
            Object::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// What a page has under a key, or what it is below has.
    pub(super) fn inherited<'o>(&'o self, page: &'o Dict, key: &[u8]) -> Option<&'o Object> {
        let mut found = page;
        for _ in 0..DEPTH_MAX {
            if let Some(value) = found.get(key) {
                return Some(value);
            }
            found = self.dict_in(found, b"Parent")?;
        }
        None
    }

    /// The bytes of an object's stream, unpacked.
    pub(super) fn stream(&self, job: &mut Job<'_>, number: u32) -> Vec<u8> {
        let Some(stored) = self.objects.get(&number) else { return Vec::new() };
        let (Object::Dict(dict), Some(range)) = (&stored.value, &stored.stream) else {
            return Vec::new();
        };
        let packed = self.bytes.get(range.clone()).unwrap_or_default();
        filter::decode(job, self, dict, packed)
    }

    /// What the document says of itself.
    pub(super) fn information(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        let dict = self.information.and_then(|number| self.dict(number));
        let values = dict.into_iter().flat_map(|dict| &dict.0);
        values.map(|(name, value)| (&name[..], self.resolve(value)))
    }
}

fn next_count(lexer: &mut Lexer<'_>) -> Option<usize> {
    match lexer.next(false)? {
        Token::Value(value) => value.count(),
        Token::Word(_) => None,
    }
}

/// The number of an object whose word `obj` stands here: `7 0 obj`.
fn number_before(bytes: &[u8], place: usize) -> Option<u32> {
    /// No number of an object is longer, nor the blanks beside it.
    const NEAR_BYTES: usize = 40;
    let near = bytes.get(place.saturating_sub(NEAR_BYTES)..place)?;
    let (near, _) = cut_digits(cut_blanks(near)?)?;
    let (_, number) = cut_digits(cut_blanks(near)?)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Without the blanks at the end, where there are some.
fn cut_blanks(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().rposition(|byte| !is_blank(*byte))? + 1;
    bytes.get(..end).filter(|cut| cut.len() < bytes.len())
}

/// Without the digits at the end, and the digits.
fn cut_digits(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let begin = bytes.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    bytes.split_at_checked(begin).filter(|(_, digits)| !digits.is_empty())
}
