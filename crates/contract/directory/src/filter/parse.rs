//! From a filter's text to its terms, by recursive descent.
//!
//! ```text
//! any     = all *( "or" all )
//! all     = one *( "and" one )
//! one     = "not" one / "(" any ")" / "all" ( "users" / "mailboxes" / "contacts" / "recipients" )
//!         / property test
//! test    = ( "=" / "!=" / "like" / "notlike" ) value / [ "not" ] "in" "(" value *( "," value ) ")"
//!         / "is" [ "not" ] "empty"
//! value   = "'" text "'" / <"> text <">      ; a quote within is written twice
//! ```
//!
//! Words may have a hyphen in front and stand for signs (`-eq`, `-and`), as Exchange writes them.

use super::{DEPTH_MAX, FILTER_BYTES_MAX, KINDS, Property, Term, Test, VALUES_MAX};
use crate::Attribute;
use base::{Error, Result};

pub(super) fn parse(text: &str) -> Result<Term> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(Error::invalid(format!("filter: more than {FILTER_BYTES_MAX} bytes")));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0 };
    let term = parser.any(0)?;
    match parser.peek() {
        (_, Token::End) => Ok(term),
        (at, token) => Err(flaw(*at, &format!("and, or, or the end is expected, not {token}"))),
    }
}

/// A flaw, and at which character of the filter it is, from 1 on.
fn flaw(at: usize, text: &str) -> Error {
    Error::invalid(format!("filter, character {at}: {text}"))
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    /// In lower case, without a hyphen in front.
    Word(String),
    Value(String),
    Equal,
    Unequal,
    Not,
    Open,
    Close,
    Comma,
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_CHARS: usize = 40;
        let cut = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        match self {
            Self::Word(word) => write!(f, "`{}`", cut(word)),
            Self::Value(value) => write!(f, "'{}'", cut(value).escape_debug()),
            Self::Equal => f.write_str("`=`"),
            Self::Unequal => f.write_str("`!=`"),
            Self::Not => f.write_str("`!`"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::Comma => f.write_str("`,`"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// The tokens with the characters at which they begin; the last is the end.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut next = 0;
    while let Some(&c) = chars.get(next) {
        let begin = next;
        next += 1;
        let token = match c {
            _ if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => Token::Equal,
            '!' if chars.get(next) == Some(&'=') => {
                next += 1;
                Token::Unequal
            }
            '!' => Token::Not,
            '<' if chars.get(next) == Some(&'>') => {
                next += 1;
                Token::Unequal
            }
            '\'' | '"' => {
                let value = value(&chars, &mut next, c);
                Token::Value(value.ok_or_else(|| flaw(begin + 1, "this quote has no end"))?)
            }
            _ if c == '-' || is_of_word(c) => {
                while chars.get(next).copied().is_some_and(is_of_word) {
                    next += 1;
                }
                let word: String = chars[begin..next].iter().collect();
                word_of(word.trim_start_matches('-'))
                    .ok_or_else(|| flaw(begin + 1, "a hyphen stands alone"))?
            }
            _ => return Err(flaw(begin + 1, &format!("{c:?} means nothing here"))),
        };
        tokens.push((begin + 1, token));
    }
    tokens.push((chars.len() + 1, Token::End));
    Ok(tokens)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A word as a token: some stand for signs.
fn word_of(word: &str) -> Option<Token> {
    match word.to_ascii_lowercase().as_str() {
        "" => None,
        "eq" => Some(Token::Equal),
        "ne" => Some(Token::Unequal),
        "not" => Some(Token::Not),
        word => Some(Token::Word(word.to_owned())),
    }
}

/// A text up to its closing quote, `None` if there is none; `next` goes behind it.
fn value(chars: &[char], next: &mut usize, quote: char) -> Option<String> {
    let mut value = String::new();
    loop {
        let c = *chars.get(*next)?;
        *next += 1;
        if c == quote {
            if chars.get(*next) != Some(&quote) {
                return Some(value);
            }
            *next += 1;
        }
        value.push(c);
    }
}

struct Parser {
    /// Never empty; ends with [`Token::End`].
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &(usize, Token) {
        const END: &(usize, Token) = &(1, Token::End);
        self.tokens.get(self.next).or(self.tokens.last()).unwrap_or(END)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = matches!(&self.peek().1, Token::Word(found) if found == word);
        self.next += usize::from(is_it);
        is_it
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is_it = self.peek().1 == *token;
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        match self.takes(token) {
            true => Ok(()),
            false => Err(self.unexpected(&token.to_string())),
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let (at, found) = self.peek();
        flaw(*at, &format!("{wanted} is expected, not {found}"))
    }

    fn any(&mut self, depth: usize) -> Result<Term> {
        let first = self.all(depth)?;
        let mut terms = vec![first];
        while self.takes_word("or") {
            terms.push(self.all(depth)?);
        }
        Ok(only(terms, Term::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Term> {
        let first = self.one(depth)?;
        let mut terms = vec![first];
        while self.takes_word("and") {
            terms.push(self.one(depth)?);
        }
        Ok(only(terms, Term::And))
    }

    fn one(&mut self, depth: usize) -> Result<Term> {
        let (at, _) = *self.peek();
        if depth > DEPTH_MAX {
            return Err(flaw(at, &format!("nested more than {DEPTH_MAX} deep")));
        }
        if self.takes(&Token::Not) {
            return Ok(Term::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes(&Token::Open) {
            let term = self.any(depth + 1)?;
            self.expect(&Token::Close)?;
            return Ok(term);
        }
        if self.takes_word("all") {
            return self.everybody();
        }
        let property = self.property()?;
        self.test(property)
    }

    /// Behind `all`.
    fn everybody(&mut self) -> Result<Term> {
        let is = |kind: &str| Term::Is(Property::Kind, Test::OneOf(vec![kind.to_owned()]));
        for (word, term) in [
            ("users", is("user")),
            ("mailboxes", Term::Not(Box::new(is("contact")))),
            ("contacts", is("contact")),
            ("recipients", Term::And(Vec::new())),
        ] {
            if self.takes_word(word) {
                return Ok(term);
            }
        }
        Err(self.unexpected("users, mailboxes, contacts or recipients"))
    }

    fn property(&mut self) -> Result<Property> {
        const KNOWN: &str = "kind, name, address, domain, department, company, office, title, \
                             city, state, country or custom1 to custom15";
        let (at, token) = self.peek().clone();
        let Token::Word(word) = token else { return Err(self.unexpected(KNOWN)) };
        let property = match word.as_str() {
            "kind" => Some(Property::Kind),
            "name" | "displayname" => Some(Property::Name),
            "address" => Some(Property::Address),
            "domain" => Some(Property::Domain),
            word => Attribute::of(word).map(Property::Attribute),
        };
        self.next += 1;
        property.ok_or_else(|| flaw(at, &format!("`{word}` is none of {KNOWN}")))
    }

    fn test(&mut self, property: Property) -> Result<Term> {
        if self.takes_word("is") {
            let is_not = self.takes(&Token::Not);
            if !self.takes_word("empty") {
                return Err(self.unexpected("empty"));
            }
            let empty = Term::Is(property, Test::OneOf(vec![String::new()]));
            return Ok(negated(empty, is_not));
        }
        let is_not = self.takes(&Token::Not);
        if self.takes_word("in") {
            let values = self.values(property)?;
            return Ok(negated(Term::Is(property, Test::OneOf(values)), is_not));
        }
        if is_not {
            return Err(self.unexpected("in"));
        }
        let (is_not, is_like) = match &self.peek().1 {
            Token::Equal => (false, false),
            Token::Unequal => (true, false),
            Token::Word(word) if word == "like" => (false, true),
            Token::Word(word) if word == "notlike" => (true, true),
            _ => return Err(self.unexpected("=, !=, like, notlike, in or is")),
        };
        self.next += 1;
        let test = match is_like {
            true => Test::Like(self.value(None)?.split('*').map(str::to_owned).collect()),
            false => Test::OneOf(vec![self.value(Some(property))?]),
        };
        Ok(negated(Term::Is(property, test), is_not))
    }

    fn values(&mut self, property: Property) -> Result<Vec<String>> {
        self.expect(&Token::Open)?;
        let mut values = Vec::new();
        loop {
            let (at, _) = *self.peek();
            values.push(self.value(Some(property))?);
            if values.len() > VALUES_MAX {
                return Err(flaw(at, &format!("more than {VALUES_MAX} values")));
            }
            if !self.takes(&Token::Comma) {
                self.expect(&Token::Close)?;
                return Ok(values);
            }
        }
    }

    /// A value in lower case; one that a property can have, if it is to be that.
    fn value(&mut self, of: Option<Property>) -> Result<String> {
        let (at, token) = self.peek().clone();
        let Token::Value(value) = token else {
            return Err(self.unexpected("a value in quotes"));
        };
        self.next += 1;
        let value = value.to_lowercase();
        if of == Some(Property::Kind) && !KINDS.contains(&value.as_str()) {
            let text = format!("no kind: it is one of {}", KINDS.join(", "));
            return Err(flaw(at, &text));
        }
        Ok(value)
    }
}

fn only(mut terms: Vec<Term>, make: impl Fn(Vec<Term>) -> Term) -> Term {
    match (terms.len(), terms.pop()) {
        (1, Some(term)) => term,
        (_, last) => {
            terms.extend(last);
            make(terms)
        }
    }
}

fn negated(term: Term, is_not: bool) -> Term {
    if is_not { Term::Not(Box::new(term)) } else { term }
}
