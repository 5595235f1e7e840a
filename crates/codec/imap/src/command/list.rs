//! LIST (RFC 3501 §6.3.8) with the options of RFC 5258, RFC 6154 and RFC 5819, and LSUB
//! (RFC 3501 §6.3.9).

use super::status::StatusItem;
use crate::error::ParseError;
use crate::lex::{Cursor, is_astring_char};
use crate::limits::MAX_LIST_PATTERNS;
use crate::value::{ListPattern, decode_argument, mutf7};
use crate::wire::{LiteralForm, put_list, put_spaced, put_string};
use bytes::{BufMut, BytesMut};

/// The arguments of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes to select, beside the patterns.
    pub selection: ListSelection,
    /// The reference in Unicode, often empty; it is put before each pattern.
    pub reference: String,
    /// The patterns, at least one.
    pub patterns: Vec<ListPattern>,
    /// What to tell of each.
    pub returns: ListReturn,
    /// `STATUS (…)`: what STATUS is to tell of each (RFC 5819 §2); none: nothing.
    pub status: Vec<StatusItem>,
}

/// Selection options (RFC 5258 §3.1, RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelection {
    /// Subscribed names, existing or not.
    pub subscribed: bool,
    /// Remote mailboxes too.
    pub remote: bool,
    /// Also parents of what matches, with CHILDINFO.
    pub recursive_match: bool,
    /// Only mailboxes with a special use.
    pub special_use: bool,
}

/// Return options (RFC 5258 §3.2, RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// `\Subscribed`.
    pub subscribed: bool,
    /// `\HasChildren` and `\HasNoChildren`.
    pub children: bool,
    /// Special-use attributes.
    pub special_use: bool,
    /// MYRIGHTS responses (RFC 8440 §3).
    pub my_rights: bool,
}

const SELECTION_NAMES: [&str; 4] = ["SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"];
const RETURN_NAMES: [&str; 4] = ["SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"];

impl List {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<List, ParseError> {
        cursor.space()?;
        let mut selection = ListSelection::default();
        if cursor.peek() == Some(b'(') {
            selection = parse_selection(cursor)?;
            cursor.space()?;
        }
        let reference = parse_reference(cursor)?;
        cursor.space()?;
        let patterns = parse_patterns(cursor)?;
        let (mut returns, mut status) = (ListReturn::default(), Vec::new());
        if !cursor.at_end() {
            cursor.space()?;
            if cursor.word().as_bytes() != b"RETURN" {
                return Err(cursor.error("RETURN"));
            }
            cursor.space()?;
            (returns, status) = parse_returns(cursor)?;
        }
        Ok(List { selection, reference, patterns, returns, status })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        let ListSelection { subscribed, remote, recursive_match, special_use } = self.selection;
        if self.selection != ListSelection::default() {
            out.put_u8(b' ');
            put_options(out, SELECTION_NAMES, [subscribed, remote, recursive_match, special_use]);
        }
        out.put_u8(b' ');
        put_string(out, mutf7::encode(&self.reference).as_bytes(), form);
        out.put_u8(b' ');
        match &self.patterns[..] {
            [pattern] => pattern.encode(out, form),
            patterns => put_list(out, patterns, |out, pattern| pattern.encode(out, form)),
        }
        self.encode_returns(out);
    }
}

impl List {
    fn encode_returns(&self, out: &mut BytesMut) {
        let ListReturn { subscribed, children, special_use, my_rights } = self.returns;
        if self.returns == ListReturn::default() && self.status.is_empty() {
            return;
        }
        out.put_slice(b" RETURN (");
        let chosen = RETURN_NAMES.into_iter().zip([subscribed, children, special_use, my_rights]);
        let mut names: Vec<&str> =
            chosen.filter(|(_, chosen)| *chosen).map(|(name, _)| name).collect();
        if !self.status.is_empty() {
            names.push("STATUS ");
        }
        put_spaced(out, names, |out, name| out.put_slice(name.as_bytes()));
        if !self.status.is_empty() {
            StatusItem::encode_list(&self.status, out);
        }
        out.put_u8(b')');
    }
}

/// `(NAME STATUS (ITEM …) …)`
fn parse_returns(cursor: &mut Cursor<'_>) -> Result<(ListReturn, Vec<StatusItem>), ParseError> {
    let (mut returns, mut status) = (ListReturn::default(), Vec::new());
    cursor.expect(b'(', "a list of options")?;
    if cursor.eat(b')') {
        return Ok((returns, status));
    }
    loop {
        let at = cursor.mark();
        match cursor.word().as_bytes() {
            b"SUBSCRIBED" => returns.subscribed = true,
            b"CHILDREN" => returns.children = true,
            b"SPECIAL-USE" => returns.special_use = true,
            b"MYRIGHTS" => returns.my_rights = true,
            b"STATUS" => {
                cursor.space()?;
                status = StatusItem::parse_list(cursor)?;
            }
            _ => return Err(cursor.error_at(at, "a LIST option")),
        }
        if cursor.eat(b')') {
            return Ok((returns, status));
        }
        cursor.space()?;
    }
}

fn parse_selection(cursor: &mut Cursor<'_>) -> Result<ListSelection, ParseError> {
    let [subscribed, remote, recursive_match, special_use] =
        parse_options(cursor, SELECTION_NAMES)?;
    if recursive_match && !subscribed && !special_use {
        return Err(cursor.error("a selection beside RECURSIVEMATCH"));
    }
    Ok(ListSelection { subscribed, remote, recursive_match, special_use })
}

/// `(NAME NAME …)`: which of the names are there.
fn parse_options<const N: usize>(
    cursor: &mut Cursor<'_>,
    names: [&str; N],
) -> Result<[bool; N], ParseError> {
    let mut found = [false; N];
    cursor.expect(b'(', "a list of options")?;
    if cursor.eat(b')') {
        return Ok(found);
    }
    loop {
        let at = cursor.mark();
        let word = cursor.word();
        match names.iter().position(|name| name.as_bytes() == word.as_bytes()) {
            Some(index) => found[index] = true,
            None => return Err(cursor.error_at(at, "a LIST option")),
        }
        if cursor.eat(b')') {
            return Ok(found);
        }
        cursor.space()?;
    }
}

fn put_options<const N: usize>(out: &mut BytesMut, names: [&str; N], chosen: [bool; N]) {
    let chosen = names.into_iter().zip(chosen).filter(|(_, chosen)| *chosen);
    put_list(out, chosen, |out, (name, _)| out.put_slice(name.as_bytes()));
}

fn parse_reference(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    decode_argument(cursor, is_astring_char, "a reference name")
}

fn parse_patterns(cursor: &mut Cursor<'_>) -> Result<Vec<ListPattern>, ParseError> {
    if !cursor.eat(b'(') {
        return Ok(vec![ListPattern::parse(cursor)?]);
    }
    let mut patterns = vec![ListPattern::parse(cursor)?];
    while !cursor.eat(b')') {
        if patterns.len() == MAX_LIST_PATTERNS {
            return Err(cursor.too_much("mailbox patterns"));
        }
        cursor.space()?;
        patterns.push(ListPattern::parse(cursor)?);
    }
    Ok(patterns)
}

/// The arguments of LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsub {
    /// The reference in Unicode.
    pub reference: String,
    /// The pattern.
    pub pattern: ListPattern,
}

impl Lsub {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Lsub, ParseError> {
        cursor.space()?;
        let reference = parse_reference(cursor)?;
        cursor.space()?;
        Ok(Lsub { reference, pattern: ListPattern::parse(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        put_string(out, mutf7::encode(&self.reference).as_bytes(), form);
        out.put_u8(b' ');
        self.pattern.encode(out, form);
    }
}
