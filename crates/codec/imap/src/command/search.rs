//! SEARCH (RFC 3501 §6.4.4): a tree of keys, bounded in depth (attack 24); with RETURN (RFC 4731),
//! OLDER and YOUNGER (RFC 5032 §3) and MODSEQ (RFC 7162 §3.1.5).
//!
//! Strings stay bytes in the charset of the command. The parser does not judge the charset: one the
//! server does not know is `NO [BADCHARSET]`, not `BAD`.

use super::returns::SearchReturn;
use crate::error::ParseError;
use crate::lex::{Cursor, is_atom_char};
use crate::limits::{MAX_FLAG_BYTES, MAX_SEARCH_DEPTH};
use crate::value::{Date, SequenceSet};
use crate::wire::{LiteralForm, put_astring, put_spaced, put_string};
use bytes::{BufMut, Bytes, BytesMut};

/// The arguments of SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whether to answer with UIDs.
    pub uid: bool,
    /// What to give back, by ESEARCH; `None`: everything, by SEARCH.
    pub returns: Option<SearchReturn>,
    /// The charset of the strings; `None`: US-ASCII, though UTF-8 is met in practice.
    pub charset: Option<Charset>,
    /// What to look for; several keys are one [`SearchKey::And`].
    pub key: SearchKey,
}

/// The charset of the strings of a SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charset {
    /// `US-ASCII`
    UsAscii,
    /// `UTF-8`
    Utf8,
    /// Another, as sent.
    Other(Bytes),
}

/// A search key. Strings are matched without case as substrings; the empty string is in every
/// message that has the field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the key of that name in RFC 3501 §6.4.4")]
pub enum SearchKey {
    All,
    Answered,
    Deleted,
    Draft,
    Flagged,
    New,
    Old,
    Recent,
    Seen,
    Unanswered,
    Undeleted,
    Undraft,
    Unflagged,
    Unseen,
    /// A keyword; case as sent.
    Keyword(String),
    Unkeyword(String),
    Bcc(Bytes),
    Body(Bytes),
    Cc(Bytes),
    From(Bytes),
    Subject(Bytes),
    Text(Bytes),
    To(Bytes),
    /// Field name and text.
    Header(Bytes, Bytes),
    Before(Date),
    On(Date),
    Since(Date),
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    /// More bytes than this.
    Larger(u64),
    /// Fewer bytes than this.
    Smaller(u64),
    /// Received at least so many seconds ago (RFC 5032 §3).
    Older(u32),
    /// Received at most so many seconds ago (RFC 5032 §3).
    Younger(u32),
    /// Changed at this modification sequence or later (RFC 7162 §3.1.5). The name and type of a
    /// metadata item that may stand before it make no difference and are not kept.
    ModSeq(u64),
    /// Message numbers.
    Sequence(SequenceSet),
    Uid(SequenceSet),
    Not(Box<SearchKey>),
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All of these; two at least when parsed.
    And(Vec<SearchKey>),
}

impl Search {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Search, ParseError> {
        cursor.space()?;
        let mut returns = None;
        let mut ahead = cursor.clone();
        if ahead.word().as_bytes() == b"RETURN" {
            *cursor = ahead;
            returns = Some(SearchReturn::parse(cursor)?);
            cursor.space()?;
        }
        let mut charset = None;
        let mut ahead = cursor.clone();
        if ahead.word().as_bytes() == b"CHARSET" {
            *cursor = ahead;
            cursor.space()?;
            charset = Some(Charset::parse(cursor)?);
            cursor.space()?;
        }
        Ok(Search { uid, returns, charset, key: parse_keys(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        if let Some(returns) = &self.returns {
            returns.encode(out);
        }
        if let Some(charset) = &self.charset {
            out.put_slice(b" CHARSET ");
            put_astring(out, charset.name(), form);
        }
        out.put_u8(b' ');
        self.key.encode_all(out, form);
    }
}

/// The keys up to the end of the command.
pub(super) fn parse_keys(cursor: &mut Cursor<'_>) -> Result<SearchKey, ParseError> {
    let mut keys = vec![parse_key(cursor, MAX_SEARCH_DEPTH)?];
    while !cursor.at_end() {
        cursor.space()?;
        keys.push(parse_key(cursor, MAX_SEARCH_DEPTH)?);
    }
    Ok(all_of(keys))
}

impl Charset {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Charset, ParseError> {
        let name = cursor.astring("a charset")?;
        Ok(if name.eq_ignore_ascii_case(b"UTF-8") {
            Charset::Utf8
        } else if name.eq_ignore_ascii_case(b"US-ASCII") {
            Charset::UsAscii
        } else {
            Charset::Other(name)
        })
    }

    /// The name as sent or registered.
    pub fn name(&self) -> &[u8] {
        match self {
            Charset::UsAscii => b"US-ASCII",
            Charset::Utf8 => b"UTF-8",
            Charset::Other(name) => name,
        }
    }
}

/// One key is itself, so that parentheses around it leave no trace.
fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => key,
        (_, last) => {
            keys.extend(last);
            SearchKey::And(keys)
        }
    }
}

/// One key. `depth` is how many more levels may open below it; it bounds the recursion.
fn parse_key(cursor: &mut Cursor<'_>, depth: usize) -> Result<SearchKey, ParseError> {
    match cursor.peek() {
        Some(b'(') => parse_list(cursor, depth),
        Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Sequence(SequenceSet::parse(cursor)?)),
        _ => {
            let at = cursor.mark();
            let word = cursor.word();
            if let Some(key) = simple_key(word.as_bytes()) {
                return Ok(key);
            }
            let nested = matches!(word.as_bytes(), b"NOT" | b"OR");
            let key = if nested {
                parse_operator(cursor, word.as_bytes() == b"OR", depth)?
            } else {
                parse_argument_key(cursor, word.as_bytes())?
            };
            key.ok_or_else(|| cursor.error_at(at, "a search key"))
        }
    }
}

fn deeper(cursor: &Cursor<'_>, depth: usize) -> Result<usize, ParseError> {
    depth.checked_sub(1).ok_or_else(|| cursor.too_much("nesting of search keys"))
}

fn parse_list(cursor: &mut Cursor<'_>, depth: usize) -> Result<SearchKey, ParseError> {
    let depth = deeper(cursor, depth)?;
    cursor.expect(b'(', "`(`")?;
    let mut keys = vec![parse_key(cursor, depth)?];
    while !cursor.eat(b')') {
        cursor.space()?;
        keys.push(parse_key(cursor, depth)?);
    }
    Ok(all_of(keys))
}

fn parse_operator(
    cursor: &mut Cursor<'_>,
    or: bool,
    depth: usize,
) -> Result<Option<SearchKey>, ParseError> {
    let depth = deeper(cursor, depth)?;
    cursor.space()?;
    let first = Box::new(parse_key(cursor, depth)?);
    if !or {
        return Ok(Some(SearchKey::Not(first)));
    }
    cursor.space()?;
    Ok(Some(SearchKey::Or(first, Box::new(parse_key(cursor, depth)?))))
}

const SIMPLE_KEYS: [(&str, SearchKey); 14] = [
    ("ALL", SearchKey::All),
    ("ANSWERED", SearchKey::Answered),
    ("DELETED", SearchKey::Deleted),
    ("DRAFT", SearchKey::Draft),
    ("FLAGGED", SearchKey::Flagged),
    ("NEW", SearchKey::New),
    ("OLD", SearchKey::Old),
    ("RECENT", SearchKey::Recent),
    ("SEEN", SearchKey::Seen),
    ("UNANSWERED", SearchKey::Unanswered),
    ("UNDELETED", SearchKey::Undeleted),
    ("UNDRAFT", SearchKey::Undraft),
    ("UNFLAGGED", SearchKey::Unflagged),
    ("UNSEEN", SearchKey::Unseen),
];

fn simple_key(word: &[u8]) -> Option<SearchKey> {
    let found = SIMPLE_KEYS.iter().find(|(name, _)| name.as_bytes() == word);
    found.map(|(_, key)| key.clone())
}

/// A key with arguments; `None` for an unknown word.
fn parse_argument_key(
    cursor: &mut Cursor<'_>,
    word: &[u8],
) -> Result<Option<SearchKey>, ParseError> {
    let text: Option<fn(Bytes) -> SearchKey> = match word {
        b"BCC" => Some(SearchKey::Bcc),
        b"BODY" => Some(SearchKey::Body),
        b"CC" => Some(SearchKey::Cc),
        b"FROM" => Some(SearchKey::From),
        b"SUBJECT" => Some(SearchKey::Subject),
        b"TEXT" => Some(SearchKey::Text),
        b"TO" => Some(SearchKey::To),
        _ => None,
    };
    if let Some(key) = text {
        cursor.space()?;
        return Ok(Some(key(cursor.astring("a string")?)));
    }
    let date: Option<fn(Date) -> SearchKey> = match word {
        b"BEFORE" => Some(SearchKey::Before),
        b"ON" => Some(SearchKey::On),
        b"SINCE" => Some(SearchKey::Since),
        b"SENTBEFORE" => Some(SearchKey::SentBefore),
        b"SENTON" => Some(SearchKey::SentOn),
        b"SENTSINCE" => Some(SearchKey::SentSince),
        _ => None,
    };
    if let Some(key) = date {
        cursor.space()?;
        return Ok(Some(key(Date::parse(cursor)?)));
    }
    parse_other_key(cursor, word)
}

fn parse_other_key(cursor: &mut Cursor<'_>, word: &[u8]) -> Result<Option<SearchKey>, ParseError> {
    let known: [&[u8]; 9] = [
        b"KEYWORD",
        b"UNKEYWORD",
        b"HEADER",
        b"LARGER",
        b"SMALLER",
        b"UID",
        b"OLDER",
        b"YOUNGER",
        b"MODSEQ",
    ];
    if !known.contains(&word) {
        return Ok(None);
    }
    cursor.space()?;
    Ok(Some(match word {
        b"OLDER" => SearchKey::Older(cursor.nz_number("seconds")?),
        b"YOUNGER" => SearchKey::Younger(cursor.nz_number("seconds")?),
        b"MODSEQ" => SearchKey::ModSeq(mod_seq(cursor)?),
        b"KEYWORD" => SearchKey::Keyword(keyword(cursor)?),
        b"UNKEYWORD" => SearchKey::Unkeyword(keyword(cursor)?),
        b"LARGER" => SearchKey::Larger(cursor.number64("a size")?),
        b"SMALLER" => SearchKey::Smaller(cursor.number64("a size")?),
        b"UID" => SearchKey::Uid(SequenceSet::parse(cursor)?),
        _ => {
            let field = cursor.astring("a header field")?;
            cursor.space()?;
            SearchKey::Header(field, cursor.astring("a string")?)
        }
    }))
}

/// `["/flags/\\Seen" all] 12345`: each flag has the sequence of its message, so the name is passed over.
fn mod_seq(cursor: &mut Cursor<'_>) -> Result<u64, ParseError> {
    if cursor.peek() == Some(b'"') {
        cursor.string("a metadata item")?;
        cursor.space()?;
        let at = cursor.mark();
        if !matches!(cursor.word().as_bytes(), b"PRIV" | b"SHARED" | b"ALL") {
            return Err(cursor.error_at(at, "priv, shared or all"));
        }
        cursor.space()?;
    }
    cursor.number64("a modification sequence")
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let at = cursor.mark();
    let name = cursor.take_while(is_atom_char);
    if name.is_empty() || name.len() > MAX_FLAG_BYTES {
        return Err(cursor.error_at(at, "a keyword"));
    }
    Ok(String::from_utf8_lossy(&name).into_owned())
}

impl SearchKey {
    /// The keys of a command, without parentheses around them.
    pub(super) fn encode_all(&self, out: &mut BytesMut, form: LiteralForm) {
        match self {
            SearchKey::And(keys) if !keys.is_empty() => {
                put_spaced(out, keys, |out, key| key.encode(out, form));
            }
            key => key.encode(out, form),
        }
    }

    fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        let text = |out: &mut BytesMut, name: &str, text: &[u8]| {
            out.put_slice(name.as_bytes());
            put_string(out, text, form);
        };
        let date = |out: &mut BytesMut, name: &str, date: &Date| {
            out.put_slice(name.as_bytes());
            date.encode(out);
        };
        match self {
            SearchKey::Keyword(name) => out.put_slice(format!("KEYWORD {name}").as_bytes()),
            SearchKey::Unkeyword(name) => out.put_slice(format!("UNKEYWORD {name}").as_bytes()),
            SearchKey::Bcc(s) => text(out, "BCC ", s),
            SearchKey::Body(s) => text(out, "BODY ", s),
            SearchKey::Cc(s) => text(out, "CC ", s),
            SearchKey::From(s) => text(out, "FROM ", s),
            SearchKey::Subject(s) => text(out, "SUBJECT ", s),
            SearchKey::Text(s) => text(out, "TEXT ", s),
            SearchKey::To(s) => text(out, "TO ", s),
            SearchKey::Header(field, s) => {
                text(out, "HEADER ", field);
                text(out, " ", s);
            }
            SearchKey::Before(day) => date(out, "BEFORE ", day),
            SearchKey::On(day) => date(out, "ON ", day),
            SearchKey::Since(day) => date(out, "SINCE ", day),
            SearchKey::SentBefore(day) => date(out, "SENTBEFORE ", day),
            SearchKey::SentOn(day) => date(out, "SENTON ", day),
            SearchKey::SentSince(day) => date(out, "SENTSINCE ", day),
            SearchKey::Larger(size) => out.put_slice(format!("LARGER {size}").as_bytes()),
            SearchKey::Smaller(size) => out.put_slice(format!("SMALLER {size}").as_bytes()),
            SearchKey::Older(seconds) => out.put_slice(format!("OLDER {seconds}").as_bytes()),
            SearchKey::Younger(seconds) => out.put_slice(format!("YOUNGER {seconds}").as_bytes()),
            SearchKey::ModSeq(number) => out.put_slice(format!("MODSEQ {number}").as_bytes()),
            SearchKey::Sequence(set) => set.encode(out),
            SearchKey::Uid(set) => {
                out.put_slice(b"UID ");
                set.encode(out);
            }
            SearchKey::Not(key) => {
                out.put_slice(b"NOT ");
                key.encode(out, form);
            }
            SearchKey::Or(a, b) => {
                out.put_slice(b"OR ");
                put_spaced(out, [a, b], |out, key| key.encode(out, form));
            }
            SearchKey::And(keys) if !keys.is_empty() => {
                out.put_u8(b'(');
                put_spaced(out, keys, |out, key| key.encode(out, form));
                out.put_u8(b')');
            }
            simple => {
                let name = SIMPLE_KEYS.iter().find(|(_, key)| key == simple);
                // An empty And holds for every message.
                out.put_slice(name.map_or("ALL", |(name, _)| name).as_bytes());
            }
        }
    }
}
