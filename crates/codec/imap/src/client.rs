//! The client's side: responses read into plain values, for our test client, benches and round trips.
//! Commands are printed by [`crate::Command::encode`].
//!
//! [`ResponseReader`] cuts responses out of the stream (a literal of a response is collected, however
//! large the limit given allows); [`ServerResponse`] is one of them, its data a tree of [`Value`]s.

use crate::error::ParseError;
use crate::framer::{FrameError, FrameEvent, Framer, Limits, RawCommand};
use crate::lex::Cursor;
use crate::limits::MAX_VALUE_DEPTH;
use crate::response::Status;
use bytes::{Bytes, BytesMut};
use std::fmt;

/// A value of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `NIL`
    Nil,
    /// Digits that fit 63 bits.
    Number(u64),
    /// Any other bare word, such as `\Seen` or `BODY[HEADER.FIELDS (To)]<0>`.
    Atom(Bytes),
    /// A quoted string or a literal.
    String(Bytes),
    /// A list in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The bytes of an atom or string.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Value::Atom(bytes) | Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The values of a list; `NIL` is the empty one.
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            Value::Nil => Some(&[]),
            _ => None,
        }
    }

    /// Whether this is the given word or string, without regard to case.
    pub fn is(&self, word: &str) -> bool {
        self.bytes().is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// One response of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerResponse {
    /// `+ text`
    Continuation(Bytes),
    /// A condition, tagged or not.
    Status {
        /// The tag; `None`: untagged.
        tag: Option<Bytes>,
        /// The condition.
        status: Status,
        /// The words of the code in brackets.
        code: Vec<Value>,
        /// The text.
        text: Bytes,
    },
    /// Any other untagged response.
    Data {
        /// The number before the name, as in `12 FETCH`.
        number: Option<u32>,
        /// The name in upper case.
        name: String,
        /// What follows it.
        values: Vec<Value>,
    },
}

/// The items of one FETCH response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchData<'a> {
    /// The message number.
    pub number: u32,
    items: &'a [Value],
}

impl<'a> FetchData<'a> {
    /// The value of an item by its name, such as `BODY[TEXT]<0>`; case does not count.
    pub fn item(&self, name: &str) -> Option<&'a Value> {
        self.items.chunks_exact(2).find(|pair| pair[0].is(name)).map(|pair| &pair[1])
    }

    /// The UID.
    pub fn uid(&self) -> Option<u32> {
        self.item("UID")?.number().and_then(|uid| u32::try_from(uid).ok())
    }

    /// The flags by name.
    pub fn flags(&self) -> Option<Vec<String>> {
        let names = self.item("FLAGS")?.list()?.iter().filter_map(Value::bytes);
        Some(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// The payload of an item such as `BODY[]`; `None` if it is not there or `NIL`.
    pub fn payload(&self, name: &str) -> Option<&'a Bytes> {
        self.item(name)?.bytes()
    }
}

impl ServerResponse {
    /// Parses one response.
    ///
    /// # Errors
    /// [`ParseError`] if it does not follow the grammar.
    pub fn parse(raw: &RawCommand) -> Result<ServerResponse, ParseError> {
        let mut cursor = Cursor::new(raw);
        if cursor.eat(b'+') {
            let _ = cursor.eat(b' ');
            return Ok(ServerResponse::Continuation(cursor.take_while(|_| true)));
        }
        let tag = cursor.take_while(|b| b != b' ');
        if tag.is_empty() {
            return Err(cursor.error("a tag or `*`"));
        }
        let tag = (&tag[..] != b"*").then_some(tag);
        cursor.space()?;
        if cursor.peek().is_some_and(|b| b.is_ascii_digit()) && tag.is_none() {
            let number = cursor.digits_u32()?;
            cursor.space()?;
            return parse_data(&mut cursor, Some(number));
        }
        let mut ahead = cursor.clone();
        match parse_status(&mut ahead) {
            Some(status) => parse_condition(&mut ahead, tag, status),
            None if tag.is_none() => parse_data(&mut cursor, None),
            None => Err(cursor.error("OK, NO or BAD")),
        }
    }

    /// The condition that answers this tag.
    pub fn tagged(&self, wanted: &str) -> Option<Status> {
        match self {
            ServerResponse::Status { tag: Some(tag), status, .. }
                if tag[..] == *wanted.as_bytes() =>
            {
                Some(*status)
            }
            _ => None,
        }
    }

    /// The values of the untagged response of this name, such as `SEARCH`.
    pub fn data(&self, wanted: &str) -> Option<&[Value]> {
        match self {
            ServerResponse::Data { name, values, .. } if name == wanted => Some(values),
            _ => None,
        }
    }

    /// The number of a response such as `3 EXISTS`.
    pub fn count(&self, wanted: &str) -> Option<u32> {
        match self {
            ServerResponse::Data { number, name, .. } if name == wanted => *number,
            _ => None,
        }
    }

    /// The items, if this is a FETCH response.
    pub fn fetch(&self) -> Option<FetchData<'_>> {
        match self {
            ServerResponse::Data { number: Some(number), name, values } if name == "FETCH" => {
                Some(FetchData { number: *number, items: values.first()?.list()? })
            }
            _ => None,
        }
    }

    /// The words of the response code, if it is this one.
    pub fn code(&self, wanted: &str) -> Option<&[Value]> {
        match self {
            ServerResponse::Status { code, .. } if code.first().is_some_and(|c| c.is(wanted)) => {
                code.get(1..)
            }
            _ => None,
        }
    }
}

fn parse_status(cursor: &mut Cursor<'_>) -> Option<Status> {
    let word = cursor.word();
    let all = [Status::Ok, Status::No, Status::Bad, Status::Preauth, Status::Bye];
    all.into_iter().find(|status| status.name().as_bytes() == word.as_bytes())
}

fn parse_condition(
    cursor: &mut Cursor<'_>,
    tag: Option<Bytes>,
    status: Status,
) -> Result<ServerResponse, ParseError> {
    let _ = cursor.eat(b' ');
    let mut code = Vec::new();
    if cursor.eat(b'[') {
        code = parse_values(cursor, Some(b']'))?;
        let _ = cursor.eat(b' ');
    }
    let text = cursor.take_while(|_| true);
    Ok(ServerResponse::Status { tag, status, code, text })
}

fn parse_data(cursor: &mut Cursor<'_>, number: Option<u32>) -> Result<ServerResponse, ParseError> {
    let word = cursor.word();
    let name = String::from_utf8_lossy(word.as_bytes()).into_owned();
    if name.is_empty() {
        return Err(cursor.error("the name of a response"));
    }
    let _ = cursor.eat(b' ');
    Ok(ServerResponse::Data { number, name, values: parse_values(cursor, None)? })
}

/// Values up to the end of the response or to `end`, which is taken. Lists are kept on a stack of our
/// own, so that nesting costs no call depth.
fn parse_values(cursor: &mut Cursor<'_>, end: Option<u8>) -> Result<Vec<Value>, ParseError> {
    let mut open: Vec<Vec<Value>> = Vec::new();
    let mut values = Vec::new();
    loop {
        if open.is_empty()
            && (end.is_none() && cursor.at_end() || end.is_some_and(|b| cursor.eat(b)))
        {
            return Ok(values);
        }
        if cursor.eat(b' ') {
            continue;
        }
        if cursor.eat(b'(') {
            if open.len() == MAX_VALUE_DEPTH {
                return Err(cursor.too_much("nesting of lists"));
            }
            open.push(std::mem::take(&mut values));
        } else if cursor.eat(b')') {
            let outer = open.pop().ok_or_else(|| cursor.error("no `)`"))?;
            let list = std::mem::replace(&mut values, outer);
            values.push(Value::List(list));
        } else if matches!(cursor.peek(), Some(b'"') | None) {
            values.push(Value::String(cursor.any_string("a value")?));
        } else {
            values.push(parse_word(cursor, end)?);
        }
    }
}

fn parse_word(cursor: &mut Cursor<'_>, end: Option<u8>) -> Result<Value, ParseError> {
    let word = cursor.response_atom(end)?;
    if word.eq_ignore_ascii_case(b"NIL") {
        return Ok(Value::Nil);
    }
    let number = if word.iter().all(u8::is_ascii_digit) {
        std::str::from_utf8(&word).ok().and_then(|digits| digits.parse::<i64>().ok())
    } else {
        None
    };
    // Digits that print differently, such as 007, stay a word.
    Ok(match number.and_then(|number| u64::try_from(number).ok()) {
        Some(number) if word.len() == 1 || !word.starts_with(b"0") => Value::Number(number),
        _ => Value::Atom(word),
    })
}

/// Why a response could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The stream cannot be cut into responses.
    Frame(FrameError),
    /// A response does not follow the grammar.
    Parse(ParseError),
    /// A literal passes the limit of the reader.
    TooLarge,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Frame(error) => error.fmt(f),
            ReadError::Parse(error) => error.fmt(f),
            ReadError::TooLarge => f.write_str("Literal too large"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Cuts responses out of the bytes of a server.
#[derive(Debug)]
pub struct ResponseReader {
    framer: Framer,
}

impl ResponseReader {
    /// A reader that collects up to `response_bytes` of literals per response.
    pub fn new(response_bytes: u64) -> ResponseReader {
        let limits = Limits {
            line_bytes: 64 * 1024 * 1024,
            literal_bytes: response_bytes,
            literals: 1_000_000,
            skip_bytes: 0,
        };
        ResponseReader { framer: Framer::new(limits) }
    }

    /// The next response at the front of the buffer; `None`: read more and call again.
    ///
    /// # Errors
    /// [`ReadError`]; the connection is of no further use.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<ServerResponse>, ReadError> {
        loop {
            match self.framer.next(buffer).map_err(ReadError::Frame)? {
                FrameEvent::NeedMore | FrameEvent::Chunk(_) => return Ok(None),
                FrameEvent::Literal(_) if self.framer.accept() => {}
                FrameEvent::Literal(_) => return Err(ReadError::TooLarge),
                FrameEvent::Command(raw) => {
                    return ServerResponse::parse(&raw).map(Some).map_err(ReadError::Parse);
                }
            }
        }
    }
}
