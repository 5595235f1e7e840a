//! Who a header says has written a message, where that must be beyond doubt.
//!
//! [`crate::address`] makes something sensible of everything; but two readers may make different
//! things of a broken field, and one of them shows an author that the other never saw. Here a From
//! or Sender field is read the one way RFC 5322 §3.6.2 allows, or not at all.

use bytes::Bytes;

use crate::header::{Field, unfold};
use crate::lexer::{Lexer, is_space};

/// More authors than any real message has.
const AUTHORS_MAX: usize = 100;

/// Whether a field has a certain name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// It has another.
    Other,
    /// It has that name, with at most blanks before the colon (RFC 5322 §4.5).
    Exact,
    /// Some reader may think so: a colon in a folded line, or bytes that cannot be seen.
    Odd,
}

/// Whether `field` of `header` is called `name`, letter case ignored.
pub fn naming(field: &Field<'_>, header: &[u8], name: &[u8]) -> Naming {
    let whole = header.get(field.range.clone()).unwrap_or_default();
    let colon = whole.iter().position(|byte| *byte == b':').unwrap_or(0);
    let written = &whole[..colon];
    let seen = written.iter().filter(|byte| byte.is_ascii_graphic());
    if !seen.map(u8::to_ascii_lowercase).eq(name.iter().map(u8::to_ascii_lowercase)) {
        return Naming::Other;
    }
    let behind = written.get(name.len()..).unwrap_or_default();
    let is_exact = field.is(name) && behind.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    if is_exact { Naming::Exact } else { Naming::Odd }
}

/// One author.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// Local part, quoting removed.
    pub local: Bytes,
    /// Domain, as written.
    pub domain: Bytes,
}

/// The authors in a From or Sender value (RFC 5322 §3.4 mailbox-list); `None` where it is empty or
/// not exactly that. Groups, source routes and words that are neither name nor address are not.
pub fn authors(value: &[u8]) -> Option<Vec<Author>> {
    let odd = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n');
    if value.iter().any(odd) {
        return None;
    }
    let text = Bytes::from(unfold(value).into_owned());
    let mut lexer = Lexer::new(&text);
    let mut found = Vec::new();
    loop {
        found.push(mailbox(&mut lexer)?);
        match lexer.peek() {
            None if lexer.has_unended() => return None,
            None => return Some(found),
            Some(b',') if found.len() < AUTHORS_MAX => lexer.bump(),
            Some(_) => return None,
        }
    }
}

/// `name <local@domain>` or `local@domain`, with comments, up to a comma or the end.
fn mailbox(lexer: &mut Lexer<'_>) -> Option<Author> {
    let mut words = 0;
    let mut last = Bytes::new();
    lexer.skip_cfws();
    while let Some(word) = word(lexer) {
        words += 1;
        last = word;
        lexer.skip_cfws();
    }
    match lexer.peek()? {
        b'@' if words == 1 => author(lexer, last),
        b'<' => {
            lexer.bump();
            lexer.skip_cfws();
            let local = word(lexer)?;
            lexer.skip_cfws();
            let author = author(lexer, local)?;
            if lexer.peek() != Some(b'>') {
                return None;
            }
            lexer.bump();
            lexer.skip_cfws();
            Some(author)
        }
        _ => None,
    }
}

/// An atom with its dots, or a quoted string without its quotes.
fn word(lexer: &mut Lexer<'_>) -> Option<Bytes> {
    match lexer.peek()? {
        b'"' => Some(lexer.quoted_string()),
        byte if is_atom(byte) => Some(lexer.take_while(is_atom)),
        _ => None,
    }
}

/// `@` and the domain behind a local part; the cursor ends behind comments that follow.
fn author(lexer: &mut Lexer<'_>, local: Bytes) -> Option<Author> {
    if lexer.peek() != Some(b'@') {
        return None;
    }
    lexer.bump();
    lexer.skip_cfws();
    let domain = lexer.take_while(is_atom);
    lexer.skip_cfws();
    let brackets = domain.iter().filter(|byte| matches!(byte, b'[' | b']')).count();
    let is_literal = domain.starts_with(b"[") && domain.ends_with(b"]") && brackets == 2;
    let sound = !domain.is_empty() && (brackets == 0 || is_literal);
    (sound && !local.is_empty()).then_some(Author { local, domain })
}

/// What words consist of; dots are left to them, as senders write names with them.
fn is_atom(byte: u8) -> bool {
    !is_space(byte) && !b"()<>@,;:\"".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::fields;

    fn check(value: &str, expect: Option<&[&str]>) {
        let found = authors(value.as_bytes()).map(|found| {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            let one = |author: &Author| text(&author.local) + "@" + &text(&author.domain);
            found.iter().map(one).collect::<Vec<_>>()
        });
        let expect = expect.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        assert_eq!(found, expect, "{value:?}");
    }

    #[test]
    fn what_has_one_meaning_is_read() {
        check(" alice@x.test\r\n", Some(&["alice@x.test"]));
        check("Alice B. Smith <alice@x.test>", Some(&["alice@x.test"]));
        check("\"Smith, A.\"\r\n <alice@x.test> (home)", Some(&["alice@x.test"]));
        check("alice@x.test (Alice)", Some(&["alice@x.test"]));
        check(
            "=?utf-8?q?=C3=84?= <a@x.test>, \"b\"@[192.0.2.1]",
            Some(&["a@x.test", "b@[192.0.2.1]"]),
        );
        check("Jos\u{e9} <jose@x.test>", Some(&["jose@x.test"]));
    }

    #[test]
    fn attack_20_what_readers_may_take_for_different_authors_is_not() {
        for value in [
            "",
            "(comment)",
            "alice",
            "alice@",
            "<>",
            "alice@x.test bob@y.test",
            "alice@x.test <bob@y.test>",
            "bob@y.test <alice@x.test>",
            "<alice@x.test> <bob@y.test>",
            "<alice@x.test> bob",
            "<alice@x.test",
            "<@y.test:alice@x.test>",
            "Boss: alice@x.test;",
            "bob@y.test:;",
            "alice@x.test,",
            ",alice@x.test",
            "alice@x.test; bob@y.test",
            "alice@x.test (bob@y.test",
            "\"alice@x.test",
            "a b@x.test",
            "alice@x.test\0",
            "alice@x.test\u{b}",
            "alice@x@y.test",
        ] {
            check(value, None);
        }
        check(&vec!["a@x.test"; 200].join(","), None);
    }

    #[test]
    fn attack_20_a_name_is_recognised_in_disguise() {
        let check = |header: &[u8], expect: Naming| {
            let field = fields(header).next();
            let found = field.map(|field| naming(&field, header, b"From"));
            assert_eq!(found, Some(expect), "{}", header.escape_ascii());
        };
        check(b"From: a\r\n", Naming::Exact);
        check(b"fROM \t: a\r\n", Naming::Exact);
        check(b"From\x0b: a\r\n", Naming::Odd);
        check(b"From\x0c: a\r\n", Naming::Odd);
        check(b"From\0: a\r\n", Naming::Odd);
        check(b"Fr om: a\r\n", Naming::Odd);
        check(b"From\r\n : a\r\n", Naming::Odd);
        check(b"From\xc2\xa0: a\r\n", Naming::Odd);
        check(b"From a: b\r\n", Naming::Other);
        check(b"Fromage: a\r\n", Naming::Other);
        check(b"no colon\r\n", Naming::Other);
        check(b"X-From: a\r\n", Naming::Other);
    }
}
