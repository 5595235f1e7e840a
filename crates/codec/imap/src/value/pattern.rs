//! LIST patterns: `*` matches anything, `%` anything but the hierarchy delimiter
//! (RFC 3501 §6.3.8). Matching costs at most name × pattern steps, whatever the pattern (attack 28).

use super::mailbox::decode_argument;
use crate::error::ParseError;
use crate::lex::{Cursor, is_astring_char};
use crate::limits::MAX_PATTERN_WILDCARDS;
use crate::value::mutf7;
use crate::wire::{LiteralForm, put_string};
use bytes::{BufMut, BytesMut};

/// A mailbox pattern in Unicode; may be empty (the request for the delimiter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPattern(String);

impl ListPattern {
    /// The pattern; `None` if it has more than [`MAX_PATTERN_WILDCARDS`] runs of wildcards.
    pub fn new(pattern: &str) -> Option<ListPattern> {
        let wild = |c: &char| matches!(c, '*' | '%');
        let starts = std::iter::once(' ').chain(pattern.chars()).zip(pattern.chars());
        let runs = starts.filter(|(before, c)| wild(c) && !wild(before)).count();
        (runs <= MAX_PATTERN_WILDCARDS).then(|| ListPattern(pattern.to_owned()))
    }

    /// The pattern in Unicode.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern, put behind the reference, matches a whole name. `INBOX` matches
    /// without regard to case.
    pub fn matches(&self, reference: &str, name: &str, delimiter: Option<char>) -> bool {
        let fold = name == "INBOX";
        let same = |p: char, c: char| p == c || (fold && p.eq_ignore_ascii_case(&c));
        let pattern: Vec<char> = reference.chars().chain(self.0.chars()).collect();
        // reached[i]: the name so far can be what the first i pattern characters match.
        let mut reached = vec![false; pattern.len() + 1];
        let mut next = reached.clone();
        reached[0] = true;
        skip_wildcards(&pattern, &mut reached);
        for c in name.chars() {
            next.fill(false);
            for (index, &p) in pattern.iter().enumerate().filter(|(index, _)| reached[*index]) {
                match p {
                    '*' => next[index] = true,
                    '%' => next[index] |= Some(c) != delimiter,
                    _ => next[index + 1] |= same(p, c),
                }
            }
            skip_wildcards(&pattern, &mut next);
            std::mem::swap(&mut reached, &mut next);
        }
        reached[pattern.len()]
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<ListPattern, ParseError> {
        let class = |b| is_astring_char(b) || matches!(b, b'%' | b'*');
        let text = decode_argument(cursor, class, "a mailbox pattern")?;
        ListPattern::new(&text).ok_or_else(|| cursor.too_much("wildcards in a mailbox pattern"))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        let wire = mutf7::encode(&self.0);
        if matches!(wire.as_str(), "*" | "%") {
            out.put_slice(wire.as_bytes());
        } else {
            put_string(out, wire.as_bytes(), form);
        }
    }
}

/// A wildcard may match nothing: what is reached before it is reached behind it.
fn skip_wildcards(pattern: &[char], reached: &mut [bool]) {
    for (index, p) in pattern.iter().enumerate() {
        if matches!(p, '*' | '%') && reached[index] {
            reached[index + 1] = true;
        }
    }
}
