//! Content-Type and Content-Disposition with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).

use bytes::Bytes;

use crate::lexer::{Lexer, is_space, trimmed};
use crate::message::{ContentType, Disposition, Param};
use crate::{charset, encoded_word};

/// Parses an unfolded Content-Type. `None` where there is no type or subtype; RFC 2045 §5.2 then
/// wants text/plain. The flag tells that more than `max_params` parameters were written.
pub fn content_type(value: &Bytes, max_params: usize) -> (Option<ContentType>, bool) {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    let main = lexer.take_while(is_token);
    lexer.skip_cfws();
    if main.is_empty() || lexer.peek() != Some(b'/') {
        return (None, false);
    }
    lexer.bump();
    lexer.skip_cfws();
    let sub = lexer.take_while(|byte| is_token(byte) || byte == b'/');
    if sub.is_empty() {
        return (None, false);
    }
    let (params, more) = parameters(&mut lexer, max_params);
    (Some(ContentType { main, sub, params }), more)
}

/// Parses an unfolded Content-Disposition; `None` where no kind is given. The flag is as in
/// [`content_type`].
pub fn disposition(value: &Bytes, max_params: usize) -> (Option<Disposition>, bool) {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    let kind = lexer.take_while(is_token);
    let (params, more) = parameters(&mut lexer, max_params);
    if kind.is_empty() && params.is_empty() {
        return (None, more);
    }
    let kind = if kind.is_empty() { Bytes::from_static(b"attachment") } else { kind };
    (Some(Disposition { kind, params }), more)
}

fn parameters(lexer: &mut Lexer<'_>, max_params: usize) -> (Vec<Param>, bool) {
    let mut params = Vec::new();
    loop {
        lexer.skip_cfws();
        match lexer.peek() {
            None => return (params, false),
            Some(b';') => {
                lexer.bump();
                continue;
            }
            // Some senders forget the semicolon.
            Some(_) => {}
        }
        let name = lexer.take_while(is_token);
        lexer.skip_cfws();
        if name.is_empty() || lexer.peek() != Some(b'=') {
            // Whatever stands before the next semicolon is junk between parameters.
            lexer.take_while(|byte| byte != b';');
            continue;
        }
        if params.len() == max_params {
            return (params, true);
        }
        lexer.bump();
        lexer.skip_cfws();
        let value = parameter_value(lexer);
        params.push(Param { name, value });
    }
}

/// A quoted string, or everything up to a semicolon or a comment: senders forget quotes around
/// names with spaces.
fn parameter_value(lexer: &mut Lexer<'_>) -> Bytes {
    if lexer.peek() == Some(b'"') {
        return lexer.quoted_string();
    }
    let value = lexer.take_while(|byte| byte != b';');
    let comment = value.windows(2).position(|pair| is_space(pair[0]) && pair[1] == b'(');
    trimmed(&comment.map_or_else(|| value.clone(), |at| value.slice(..at)))
}

fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// The value of parameter `name`, put together and decoded: RFC 2231 pieces and character sets
/// first, else the plain value, in which RFC 2047 words are understood because mailers write them.
/// Control characters become spaces.
pub fn decoded(params: &[Param], name: &str) -> Option<String> {
    let mut pieces = pieces(params, name);
    pieces.sort_by_key(|piece| piece.number);
    let Some(first) = pieces.first().filter(|piece| piece.number.unwrap_or(0) == 0) else {
        return params
            .iter()
            .find(|param| param.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|param| encoded_word::decode(&param.value));
    };
    let (label, mut raw) = match first.value.splitn(3, |byte| *byte == b'\'').collect::<Vec<_>>()[..]
    {
        [label, _language, text] if first.encoded => (label, percent_decoded(text)),
        _ if first.encoded => (&b""[..], percent_decoded(first.value)),
        _ => (&b""[..], first.value.to_vec()),
    };
    if first.number.is_some() {
        for (piece, number) in pieces.iter().filter(|piece| piece.number != Some(0)).zip(1..) {
            // A gap ends the value: pieces of another file name must not slip in.
            if piece.number != Some(number) {
                break;
            }
            if piece.encoded {
                raw.extend(percent_decoded(piece.value));
            } else {
                raw.extend_from_slice(piece.value);
            }
        }
    }
    Some(encoded_word::neutral(&charset::to_utf8(label, &raw)))
}

struct Piece<'a> {
    /// `None` for `name*`, which holds the whole value.
    number: Option<u32>,
    encoded: bool,
    value: &'a [u8],
}

fn pieces<'a>(params: &'a [Param], name: &str) -> Vec<Piece<'a>> {
    let mut found: Vec<Piece<'a>> = Vec::new();
    for param in params {
        let Some((base, rest)) = split_at_star(&param.name) else {
            continue;
        };
        if !base.eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        let (digits, encoded) = match rest.strip_suffix(b"*") {
            Some(digits) => (digits, true),
            None => (rest, rest.is_empty()),
        };
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        if number.is_none() && !digits.is_empty() {
            continue;
        }
        if !found.iter().any(|piece| piece.number == number) {
            found.push(Piece { number, encoded, value: &param.value });
        }
    }
    found
}

fn split_at_star(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let star = name.iter().position(|byte| *byte == b'*')?;
    Some((&name[..star], &name[star + 1..]))
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*byte);
        }
    }
    decoded
}

/// Value of a hexadecimal digit of either case.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
