//! LIST, LSUB and NAMESPACE values (RFC 3501 §7.2.2, RFC 5258 §3, RFC 6154 §2, RFC 2342 §5).

use crate::value::{Names, mutf7};
use crate::wire::{LiteralForm, put_list, put_name, put_string, put_utf8};
use bytes::{BufMut, BytesMut};

/// A mailbox attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the attribute of that name")]
pub enum ListAttribute {
    NoInferiors,
    NoSelect,
    Marked,
    Unmarked,
    NonExistent,
    Subscribed,
    Remote,
    HasChildren,
    HasNoChildren,
    All,
    Archive,
    Drafts,
    Flagged,
    Junk,
    Sent,
    Trash,
}

impl ListAttribute {
    /// The name on the wire, with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            ListAttribute::NoInferiors => "\\NoInferiors",
            ListAttribute::NoSelect => "\\Noselect",
            ListAttribute::Marked => "\\Marked",
            ListAttribute::Unmarked => "\\Unmarked",
            ListAttribute::NonExistent => "\\NonExistent",
            ListAttribute::Subscribed => "\\Subscribed",
            ListAttribute::Remote => "\\Remote",
            ListAttribute::HasChildren => "\\HasChildren",
            ListAttribute::HasNoChildren => "\\HasNoChildren",
            ListAttribute::All => "\\All",
            ListAttribute::Archive => "\\Archive",
            ListAttribute::Drafts => "\\Drafts",
            ListAttribute::Flagged => "\\Flagged",
            ListAttribute::Junk => "\\Junk",
            ListAttribute::Sent => "\\Sent",
            ListAttribute::Trash => "\\Trash",
        }
    }
}

/// A selection that matches below a mailbox (RFC 5258 §3.5 CHILDINFO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildInfo {
    /// A child is subscribed.
    Subscribed,
    /// A child has a special use.
    SpecialUse,
}

/// One mailbox of LIST or LSUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListItem<'a> {
    /// What it is.
    pub attributes: &'a [ListAttribute],
    /// The hierarchy delimiter, printable ASCII; `None`: flat.
    pub delimiter: Option<char>,
    /// The name in Unicode; empty in the answer that only tells the delimiter.
    pub name: &'a str,
    /// With RECURSIVEMATCH: why a parent is here.
    pub child_info: &'a [ChildInfo],
}

impl ListItem<'_> {
    pub(super) fn encode(&self, out: &mut BytesMut, names: Names) {
        put_list(out, self.attributes, |out, attribute| {
            out.put_slice(attribute.name().as_bytes());
        });
        out.put_u8(b' ');
        put_delimiter(out, self.delimiter);
        out.put_u8(b' ');
        put_name(out, self.name, names);
        if !self.child_info.is_empty() {
            out.put_slice(b" (\"CHILDINFO\" ");
            put_list(out, self.child_info, |out, info| {
                out.put_slice(match info {
                    ChildInfo::Subscribed => b"\"SUBSCRIBED\"".as_slice(),
                    ChildInfo::SpecialUse => b"\"SPECIAL-USE\"",
                });
            });
            out.put_u8(b')');
        }
    }
}

/// One namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamespaceItem<'a> {
    /// What its names begin with, in Unicode.
    pub prefix: &'a str,
    /// The hierarchy delimiter, printable ASCII; `None`: flat.
    pub delimiter: Option<char>,
}

/// `((prefix delimiter)…)`, or `NIL` for none.
pub(super) fn put_namespaces(out: &mut BytesMut, items: &[NamespaceItem<'_>], names: Names) {
    if items.is_empty() {
        out.put_slice(b"NIL");
        return;
    }
    out.put_u8(b'(');
    for item in items {
        out.put_u8(b'(');
        match names {
            Names::Utf7 => {
                put_string(out, mutf7::encode(item.prefix).as_bytes(), LiteralForm::Plain);
            }
            Names::Utf8 => put_utf8(out, item.prefix),
        }
        out.put_u8(b' ');
        put_delimiter(out, item.delimiter);
        out.put_u8(b')');
    }
    out.put_u8(b')');
}

fn put_delimiter(out: &mut BytesMut, delimiter: Option<char>) {
    match delimiter.filter(|c| matches!(c, ' '..='~')) {
        Some(delimiter) => put_string(out, &[delimiter as u8], LiteralForm::Plain),
        None => out.put_slice(b"NIL"),
    }
}
