//! Address lists (RFC 5322 §3.4 and §4.4) as IMAP ENVELOPE shows them.
//!
//! The parser reads each octet once. Broken addresses give something sensible: a lone word is a
//! mailbox without host, a display name may contain `@`, dots and quotes, an old `(Name)` comment
//! serves as display name, a group or angle bracket that never ends is ended.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::encoded_word;
use crate::lexer::{Lexer, is_space, trimmed};

/// One element of an address list (RFC 9051 §7.5.2: name, source route, mailbox, host).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// A mailbox, possibly a broken one.
    Mailbox {
        /// Display name, quoting removed, RFC 2047 not decoded.
        name: Option<Bytes>,
        /// Obsolete source route such as `@a,@b` (RFC 5322 §4.4).
        route: Option<Bytes>,
        /// Local part, quoting removed; empty where it was missing.
        mailbox: Bytes,
        /// Domain; empty where it was missing.
        host: Bytes,
    },
    /// A group begins (RFC 5322 §3.4): its members follow.
    GroupStart(Bytes),
    /// The group ends.
    GroupEnd,
}

impl Address {
    /// The four strings of an IMAP address: name, route, mailbox, host; `None` is NIL. A missing
    /// host is the empty string because NIL would mean a group (RFC 9051 §7.5.2).
    pub fn imap_fields(&self) -> [Option<&Bytes>; 4] {
        match self {
            Address::Mailbox { name, route, mailbox, host } => {
                [name.as_ref(), route.as_ref(), Some(mailbox), Some(host)]
            }
            Address::GroupStart(name) => [None, None, Some(name), None],
            Address::GroupEnd => [None; 4],
        }
    }

    /// `mailbox@host` where both are there.
    pub fn email(&self) -> Option<String> {
        match self {
            Address::Mailbox { mailbox, host, .. } if !mailbox.is_empty() && !host.is_empty() => {
                let text = [&mailbox[..], b"@", &host[..]].concat();
                Some(encoded_word::neutral(&String::from_utf8_lossy(&text)))
            }
            _ => None,
        }
    }

    /// The display name or group name, RFC 2047 decoded.
    pub fn display_name(&self) -> Option<String> {
        match self {
            Address::Mailbox { name, .. } => name.as_ref().map(|name| encoded_word::decode(name)),
            Address::GroupStart(name) => Some(encoded_word::decode(name)),
            Address::GroupEnd => None,
        }
    }
}

/// Parses an unfolded address list into at most `max` elements (and the end of an open group).
/// The flag tells that there were more.
pub fn parse_list(value: &Bytes, max: usize) -> (Vec<Address>, bool) {
    let mut list = List { lexer: Lexer::new(value), found: Vec::new(), in_group: false };
    let mut more = false;
    loop {
        let comment = list.lexer.skip_cfws();
        if list.lexer.peek().is_none() {
            break;
        }
        if list.found.len() >= max {
            more = true;
            break;
        }
        list.element(comment);
    }
    if list.in_group {
        list.found.push(Address::GroupEnd);
    }
    (list.found, more)
}

struct List<'a> {
    lexer: Lexer<'a>,
    found: Vec<Address>,
    in_group: bool,
}

impl List<'_> {
    /// One separator, group start or mailbox; always moves on.
    fn element(&mut self, comment_before: Option<Bytes>) {
        match self.lexer.peek() {
            Some(b';') => {
                self.lexer.bump();
                if std::mem::take(&mut self.in_group) {
                    self.found.push(Address::GroupEnd);
                }
            }
            Some(b',') => self.lexer.bump(),
            _ => self.mailbox_or_group(comment_before),
        }
    }

    fn mailbox_or_group(&mut self, mut comment: Option<Bytes>) {
        let start = self.lexer.position();
        let words = self.words(&mut comment);
        match self.lexer.peek() {
            Some(b':') if !self.in_group => {
                self.lexer.bump();
                self.in_group = true;
                self.found.push(Address::GroupStart(words));
            }
            Some(b'<') => self.angle(some(words), comment),
            Some(b'@') => {
                self.lexer.bump();
                let host = self.domain(&mut comment);
                // `a@b <c@d>`: what was read is a display name that should have been quoted.
                self.lexer.take_while(|byte| !b",;<".contains(&byte));
                if self.lexer.peek() == Some(b'<') {
                    let name = self.lexer.since(start);
                    self.angle(some(name), None);
                } else {
                    self.push(comment, None, words, host);
                }
            }
            Some(b',' | b';') | None => self.push(comment, None, words, Bytes::new()),
            // A stray `:` in a group, `>` or the like: keep what was read, pass over it.
            Some(_) => {
                self.lexer.bump();
                self.push(comment, None, words, Bytes::new());
            }
        }
    }

    /// `<` route, local part, domain `>`; the cursor is at `<`.
    fn angle(&mut self, name: Option<Bytes>, comment: Option<Bytes>) {
        self.lexer.bump();
        let mut comment = comment;
        self.lexer.skip_cfws();
        let mut route = None;
        if self.lexer.peek() == Some(b'@') {
            let hops = self.lexer.take_while(|byte| !b":<>".contains(&byte));
            if self.lexer.peek() == Some(b':') {
                self.lexer.bump();
                route = some(trimmed(&hops));
            } else {
                self.end_angle();
                self.push(name.or(comment), None, Bytes::new(), trimmed(&hops.slice(1..)));
                return;
            }
        }
        let mailbox = self.words(&mut comment);
        let mut host = Bytes::new();
        if self.lexer.peek() == Some(b'@') {
            self.lexer.bump();
            host = self.domain(&mut comment);
        }
        self.end_angle();
        if let Some(after) = self.lexer.skip_cfws() {
            comment = Some(after);
        }
        // `<a@b> junk`: junk up to the separator says nothing.
        self.lexer.take_while(|byte| !b",;<".contains(&byte));
        self.push(name.or(comment), route, mailbox, host);
    }

    fn end_angle(&mut self) {
        self.lexer.take_while(|byte| !b">,".contains(&byte));
        if self.lexer.peek() == Some(b'>') {
            self.lexer.bump();
        }
    }

    fn push(&mut self, name: Option<Bytes>, route: Option<Bytes>, mailbox: Bytes, host: Bytes) {
        if name.is_none() && mailbox.is_empty() && host.is_empty() {
            return;
        }
        self.found.push(Address::Mailbox { name, route, mailbox, host });
    }

    /// Atoms and quoted strings up to a special; one space where there was white space.
    fn words(&mut self, comment: &mut Option<Bytes>) -> Bytes {
        let mut single: Option<Bytes> = None;
        let mut joined: Vec<u8> = Vec::new();
        let mut spaced = false;
        loop {
            let before = self.lexer.position();
            if let Some(text) = self.lexer.skip_cfws() {
                *comment = Some(text);
            }
            spaced |= self.lexer.position() > before;
            let word = match self.lexer.peek() {
                Some(b'"') => self.lexer.quoted_string(),
                Some(byte) if is_word(byte) => self.lexer.take_while(is_word),
                _ => break,
            };
            match &single {
                None => single = Some(word),
                Some(first) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(first);
                    }
                    if spaced {
                        joined.push(b' ');
                    }
                    joined.extend_from_slice(&word);
                }
            }
            spaced = false;
        }
        if joined.is_empty() { single.unwrap_or_default() } else { Bytes::from(joined) }
    }

    /// A domain or domain literal after `@`.
    fn domain(&mut self, comment: &mut Option<Bytes>) -> Bytes {
        self.lexer.skip_cfws();
        let start = self.lexer.position();
        if self.lexer.peek() == Some(b'[') {
            self.lexer.take_while(|byte| !b"]>,".contains(&byte));
            if self.lexer.peek() == Some(b']') {
                self.lexer.bump();
            }
        } else {
            self.lexer.take_while(is_word);
        }
        let host = self.lexer.since(start);
        if let Some(text) = self.lexer.skip_cfws() {
            *comment = Some(text);
        }
        host
    }
}

fn some(text: Bytes) -> Option<Bytes> {
    (!text.is_empty()).then_some(text)
}

/// Dots, brackets and backslashes are left to words: senders write them unquoted.
fn is_word(byte: u8) -> bool {
    !is_space(byte) && !b"()<>@,;:\"".contains(&byte)
}
