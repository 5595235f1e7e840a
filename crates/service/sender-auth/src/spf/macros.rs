//! Macros in SPF records and explanations (RFC 7208 §7).

/// A text with macros in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct MacroString(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// `%%`, `%_`, `%-`.
    Escape(&'static str),
    Macro(Macro),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Macro {
    letter: char,
    /// Written in upper case: what it stands for is URL-encoded.
    escaped: bool,
    /// How many parts from the right are kept; `None` for all.
    keep: Option<usize>,
    reversed: bool,
    delimiters: String,
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a record.
    Record,
    /// In an explanation, which may have blanks and more macros.
    Explanation,
}

/// What macros stand for.
pub(super) trait Values {
    /// The value of a macro, by its letter in lower case.
    fn value(&self, letter: char) -> String;
}

impl MacroString {
    /// Reads a text; `None` where it is not well-formed.
    pub(super) fn parse(text: &str, place: Place) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal = rest.find('%').unwrap_or(rest.len());
            let (before, at) = rest.split_at(literal);
            let allowed =
                |byte: u8| byte.is_ascii_graphic() || (byte == b' ' && place == Place::Explanation);
            if !before.bytes().all(allowed) {
                return None;
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            if at.is_empty() {
                break;
            }
            let (piece, length) = match at.as_bytes().get(1)? {
                b'%' => (Piece::Escape("%"), 2),
                b'_' => (Piece::Escape(" "), 2),
                b'-' => (Piece::Escape("%20"), 2),
                b'{' => {
                    let end = at.find('}')?;
                    (Piece::Macro(Macro::parse(&at[2..end], place)?), end + 1)
                }
                _ => return None,
            };
            pieces.push(piece);
            rest = &at[length..];
        }
        Some(Self(pieces))
    }

    /// Reads a domain-spec: it ends with a top label or a macro (RFC 7208 §7.1).
    pub(super) fn domain(text: &str) -> Option<Self> {
        let parsed = Self::parse(text, Place::Record)?;
        let complete = match parsed.0.last()? {
            Piece::Text(text) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                text.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
            Piece::Escape(_) | Piece::Macro(_) => true,
        };
        complete.then_some(parsed)
    }

    /// Whether the sender's validated name is needed, which costs questions.
    pub(super) fn wants_name(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Macro(Macro { letter: 'p', .. })))
    }

    /// With everything put in.
    pub(super) fn expand(&self, values: &impl Values) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Escape(escape) => text.push_str(escape),
                Piece::Macro(found) => found.expand(values, &mut text),
            }
        }
        text
    }
}

fn is_top_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|byte| byte.is_ascii_digit())
}

impl Macro {
    fn parse(text: &str, place: Place) -> Option<Self> {
        let first = text.chars().next()?;
        let letter = first.to_ascii_lowercase();
        let known =
            "slodiphv".contains(letter) || (place == Place::Explanation && "crt".contains(letter));
        if !known {
            return None;
        }
        let rest = &text[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let keep = match &rest[..digits] {
            "" => None,
            // More than a name has labels is all of them.
            number => Some(number.parse().unwrap_or(usize::MAX)),
        };
        if keep == Some(0) {
            return None;
        }
        let rest = &rest[digits..];
        let (reversed, rest) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !rest.bytes().all(|byte| b".-+,/_=".contains(&byte)) {
            return None;
        }
        let delimiters = if rest.is_empty() { "." } else { rest }.to_owned();
        let escaped = first.is_ascii_uppercase();
        Some(Self { letter, escaped, keep, reversed, delimiters })
    }

    fn expand(&self, values: &impl Values, text: &mut String) {
        let value = values.value(self.letter);
        let mut parts: Vec<&str> = value.split(|c: char| self.delimiters.contains(c)).collect();
        if self.reversed {
            parts.reverse();
        }
        let from = self.keep.map_or(0, |keep| parts.len().saturating_sub(keep));
        let value = parts[from..].join(".");
        if self.escaped {
            escape(&value, text);
        } else {
            text.push_str(&value);
        }
    }
}

/// Writes what stands for itself in a URL, and the code of all else (RFC 3986 §2.3).
fn escape(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}
