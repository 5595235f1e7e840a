//! SORT and THREAD (RFC 5256 §3, §4), with the keys of RFC 5957.

use super::search::parse_keys;
use super::{Charset, SearchKey};
use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::MAX_SORT_KEYS;
use crate::wire::{LiteralForm, put_astring, put_list};
use bytes::{BufMut, BytesMut};

/// What messages are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// INTERNALDATE.
    Arrival,
    /// Mailbox of the first address of Cc.
    Cc,
    /// The Date field, in UTC.
    Date,
    /// Mailbox of the first address of From.
    From,
    /// RFC822.SIZE.
    Size,
    /// The base subject.
    Subject,
    /// Mailbox of the first address of To.
    To,
    /// The name shown for the first address of From (RFC 5957 §3).
    DisplayFrom,
    /// The same of To.
    DisplayTo,
}

const KEYS: [(SortKey, &str); 9] = [
    (SortKey::Arrival, "ARRIVAL"),
    (SortKey::Cc, "CC"),
    (SortKey::Date, "DATE"),
    (SortKey::From, "FROM"),
    (SortKey::Size, "SIZE"),
    (SortKey::Subject, "SUBJECT"),
    (SortKey::To, "TO"),
    (SortKey::DisplayFrom, "DISPLAYFROM"),
    (SortKey::DisplayTo, "DISPLAYTO"),
];

impl SortKey {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        KEYS.iter().find(|(key, _)| *key == self).map_or("", |(_, name)| name)
    }
}

/// One criterion of SORT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// By what.
    pub key: SortKey,
    /// Whether in descending order.
    pub reverse: bool,
}

/// The arguments of SORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// Whether to answer with UIDs.
    pub uid: bool,
    /// The first decides; where it is equal the next. One at least.
    pub criteria: Vec<SortCriterion>,
    /// The charset of the strings.
    pub charset: Charset,
    /// Which messages.
    pub key: SearchKey,
}

/// How THREAD puts messages together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// By base subject.
    OrderedSubject,
    /// By References, and base subject.
    References,
    /// Another, in upper case.
    Other(String),
}

/// The arguments of THREAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Whether to answer with UIDs.
    pub uid: bool,
    /// How.
    pub algorithm: ThreadAlgorithm,
    /// The charset of the strings.
    pub charset: Charset,
    /// Which messages.
    pub key: SearchKey,
}

impl Sort {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Sort, ParseError> {
        cursor.space()?;
        let criteria = parse_criteria(cursor)?;
        let (charset, key) = parse_search(cursor)?;
        Ok(Sort { uid, criteria, charset, key })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        put_list(out, &self.criteria, |out, criterion| {
            if criterion.reverse {
                out.put_slice(b"REVERSE ");
            }
            out.put_slice(criterion.key.name().as_bytes());
        });
        put_search(out, &self.charset, &self.key, form);
    }
}

impl Thread {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Thread, ParseError> {
        cursor.space()?;
        let name = cursor.atom("an algorithm")?;
        let algorithm = match name.to_ascii_uppercase().as_slice() {
            b"ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
            b"REFERENCES" => ThreadAlgorithm::References,
            other => ThreadAlgorithm::Other(String::from_utf8_lossy(other).into_owned()),
        };
        let (charset, key) = parse_search(cursor)?;
        Ok(Thread { uid, algorithm, charset, key })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        out.put_slice(match &self.algorithm {
            ThreadAlgorithm::OrderedSubject => b"ORDEREDSUBJECT".as_slice(),
            ThreadAlgorithm::References => b"REFERENCES",
            ThreadAlgorithm::Other(name) => name.as_bytes(),
        });
        put_search(out, &self.charset, &self.key, form);
    }
}

fn parse_criteria(cursor: &mut Cursor<'_>) -> Result<Vec<SortCriterion>, ParseError> {
    cursor.expect(b'(', "a list of sort keys")?;
    let mut criteria = Vec::new();
    loop {
        if criteria.len() == MAX_SORT_KEYS {
            return Err(cursor.too_much("sort keys"));
        }
        let mut at = cursor.mark();
        let mut word = cursor.word();
        let reverse = word.as_bytes() == b"REVERSE";
        if reverse {
            cursor.space()?;
            at = cursor.mark();
            word = cursor.word();
        }
        let found = KEYS.iter().find(|(_, name)| name.as_bytes() == word.as_bytes());
        let (key, _) = found.ok_or_else(|| cursor.error_at(at, "a sort key"))?;
        criteria.push(SortCriterion { key: *key, reverse });
        if cursor.eat(b')') {
            return Ok(criteria);
        }
        cursor.space()?;
    }
}

/// The charset, which must be there, and the search keys.
fn parse_search(cursor: &mut Cursor<'_>) -> Result<(Charset, SearchKey), ParseError> {
    cursor.space()?;
    let charset = Charset::parse(cursor)?;
    cursor.space()?;
    Ok((charset, parse_keys(cursor)?))
}

fn put_search(out: &mut BytesMut, charset: &Charset, key: &SearchKey, form: LiteralForm) {
    out.put_u8(b' ');
    put_astring(out, charset.name(), form);
    out.put_u8(b' ');
    key.encode_all(out, form);
}
