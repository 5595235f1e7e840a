//! Rust source, split into code, comments and string literals, line by line.
//!
//! Not a parser: just enough of the lexical grammar (nested comments, raw strings, characters
//! against lifetimes) that a brace in a string is no brace and a word in a comment is no code, and
//! enough of the structure to tell test code from the rest.

/// Where files written by a program may stand: everything else is written for people to read.
const GENERATED: &str = "crates/store/fdb-sys/";

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
}

/// The three kinds of text of one line; each character is in exactly one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) code: String,
    pub(crate) comment: String,
    pub(crate) strings: String,
    /// In a tests folder, a `tests.rs`, or under `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let mut lines = split(text);
        let is_test_file =
            path.split('/').any(|part| part == "tests") || path.ends_with("tests.rs");
        if is_test_file {
            lines.iter_mut().for_each(|line| line.is_test = true);
        } else {
            mark_tests(&mut lines);
        }
        Source { path: path.to_owned(), lines }
    }

    /// A file written by a program says so in its first line; only where bindings stand.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.starts_with(GENERATED)
            && self.lines.first().is_some_and(|line| {
                line.code.is_empty() && line.comment.starts_with("// @generated")
            })
    }

    /// The code as characters with their line, counted from 0.
    pub(crate) fn code(&self) -> Vec<(usize, char)> {
        code(&self.lines)
    }
}

/// The index behind the `}` that closes the `{` at `open`, or the end.
pub(crate) fn behind_block(code: &[(usize, char)], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, &(_, character)) in code.iter().enumerate().skip(open) {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

fn code(lines: &[Line]) -> Vec<(usize, char)> {
    let of_line = |(number, line): (usize, &Line)| {
        line.code.chars().chain(['\n']).map(move |c| (number, c)).collect::<Vec<_>>()
    };
    lines.iter().enumerate().flat_map(of_line).collect()
}

/// Marks what `#[cfg(test)]` and `#[cfg(all(test, …))]` stand before.
fn mark_tests(lines: &mut [Line]) {
    if lines.iter().any(|line| line.code.trim() == "#![cfg(test)]") {
        lines.iter_mut().for_each(|line| line.is_test = true);
        return;
    }
    let code = code(lines);
    for number in 0..lines.len() {
        let trimmed = lines[number].code.trim_start();
        if !trimmed.starts_with("#[cfg(test)]") && !trimmed.starts_with("#[cfg(all(test") {
            continue;
        }
        let start = code.partition_point(|&(line, _)| line < number);
        let Some(stop) = code[start..].iter().position(|&(_, c)| matches!(c, '{' | ';')) else {
            continue;
        };
        let end = match code[start + stop].1 {
            '{' => behind_block(&code, start + stop),
            _ => start + stop + 1,
        };
        let last = code[end - 1].0;
        lines[number..=last].iter_mut().for_each(|line| line.is_test = true);
    }
}

fn split(text: &str) -> Vec<Line> {
    let characters: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let (mut state, mut at) = (State::Code, 0);
    while at < characters.len() {
        if characters[at] == '\n' {
            lines.push(Line::default());
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            at += 1;
            continue;
        }
        let (next, taken, kept) = step(state, &characters, at);
        let last = lines.len() - 1;
        let place = match kept {
            Kept::Code => &mut lines[last].code,
            Kept::Comment => &mut lines[last].comment,
            Kept::Text => &mut lines[last].strings,
        };
        let end = (at + taken).min(characters.len());
        place.extend(characters[at..end].iter().filter(|&&c| c != '\n'));
        if matches!(kept, Kept::Text) && !matches!(next, State::Text | State::RawText { .. }) {
            // Two literals of one line stay two words.
            lines[last].strings.push(' ');
        }
        (state, at) = (next, end);
    }
    if lines.last().is_some_and(|l| l.code.is_empty() && l.comment.is_empty()) {
        lines.pop();
    }
    lines
}

enum Kept {
    Code,
    Comment,
    Text,
}

/// What stands at `at`: the state behind it, its length in characters, and its kind.
fn step(state: State, characters: &[char], at: usize) -> (State, usize, Kept) {
    let peek = |offset: usize| characters.get(at + offset).copied().unwrap_or('\0');
    match state {
        State::Code => match (peek(0), peek(1)) {
            ('/', '/') => (State::LineComment, 2, Kept::Comment),
            ('/', '*') => (State::BlockComment { depth: 1 }, 2, Kept::Comment),
            ('"', _) => (State::Text, 1, Kept::Text),
            ('r', '"' | '#') if begins_word(characters, at) => {
                let hashes = characters[at + 1..].iter().take_while(|&&c| c == '#').count();
                if peek(1 + hashes) == '"' {
                    (State::RawText { hashes }, 2 + hashes, Kept::Text)
                } else {
                    (State::Code, 1, Kept::Code)
                }
            }
            ('\'', '\\') => {
                let close = characters.iter().skip(at + 3).position(|&c| c == '\'');
                (State::Code, close.map_or(1, |close| close + 4), Kept::Text)
            }
            ('\'', _) if peek(2) == '\'' => (State::Code, 3, Kept::Text),
            _ => (State::Code, 1, Kept::Code),
        },
        State::LineComment => (state, 1, Kept::Comment),
        State::BlockComment { depth } => match (peek(0), peek(1)) {
            ('/', '*') => (State::BlockComment { depth: depth + 1 }, 2, Kept::Comment),
            ('*', '/') if depth == 1 => (State::Code, 2, Kept::Comment),
            ('*', '/') => (State::BlockComment { depth: depth - 1 }, 2, Kept::Comment),
            _ => (state, 1, Kept::Comment),
        },
        State::Text => match peek(0) {
            // A backslash at the line's end leaves the line break to the caller.
            '\\' if peek(1) != '\n' => (state, 2, Kept::Text),
            '"' => (State::Code, 1, Kept::Text),
            _ => (state, 1, Kept::Text),
        },
        State::RawText { hashes } => {
            let closes = peek(0) == '"' && (1..=hashes).all(|offset| peek(offset) == '#');
            if closes { (State::Code, 1 + hashes, Kept::Text) } else { (state, 1, Kept::Text) }
        }
    }
}

/// Whether a raw string's `r` stands at `at`, and not the end of a name; `br` and `cr` count.
fn begins_word(characters: &[char], at: usize) -> bool {
    let is_name = |at: Option<usize>| {
        at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    match at.checked_sub(1) {
        Some(before) if matches!(characters[before], 'b' | 'c') => !is_name(before.checked_sub(1)),
        before => !is_name(before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, comments and strings of one text, lines joined with `|`.
    fn check(text: &str, code: &str, comments: &str, strings: &str) {
        let source = Source::new("a.rs", text);
        let join = |of: fn(&Line) -> &str| {
            source.lines.iter().map(|line| of(line).trim()).collect::<Vec<_>>().join("|")
        };
        assert_eq!(join(|line| &line.code), code, "code of {text}");
        assert_eq!(join(|line| &line.comment), comments, "comments of {text}");
        assert_eq!(join(|line| &line.strings), strings, "strings of {text}");
    }

    #[test]
    fn kinds_of_text() {
        check("a // b\nc", "a |c".replace(" |", "|").as_str(), "// b|", "|");
        check("a /* b /* c */ d */ e", "a  e", "/* b /* c */ d */", "");
        check("f(\"{ // \\\" }\")", "f()", "", "\"{ // \\\" }\"");
        check("r#\"a\"b\"# r", "r", "", "r#\"a\"b\"#");
        check("br\"{\" for\"x\"", "b for", "", "r\"{\" \"x\"");
        check("r#type", "r#type", "", "");
        check("'{' '\\'' '\\u{7d}' &'a str", "&'a str", "", "'{' '\\'' '\\u{7d}'");
        check("\"a\nb\\\nc\" d", "||d", "||", "\"a|b\\|c\"");
    }

    #[test]
    fn generated_files_are_marked_and_stand_with_bindings() {
        let check = |path: &str, text: &str, expected: bool| {
            assert_eq!(Source::new(path, text).is_generated(), expected, "{path}: {text}");
        };
        check("crates/store/fdb-sys/src/functions.rs", "// @generated by gen.py\nfn a() {}", true);
        check("crates/store/fdb-sys/src/functions.rs", "//! Words.\n// @generated\n", false);
        check("crates/store/fdb-sys/src/functions.rs", "fn a() {} // @generated\n", false);
        check("crates/store/fdb-sys-more/src/a.rs", "// @generated\n", false);
        check("src/a.rs", "// @generated\n", false);
    }

    #[test]
    fn test_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { \"}\"; }\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod more;\nfn d() {}\n";
        let marks: Vec<bool> =
            Source::new("src/a.rs", text).lines.iter().map(|line| line.is_test).collect();
        assert_eq!(marks, [false, true, true, true, true, false, true, true, false]);
        assert!(Source::new("x/tests/a.rs", "fn a() {}").lines[0].is_test);
        assert!(Source::new("src/tests.rs", "fn a() {}").lines[0].is_test);
        assert!(Source::new("src/a.rs", "#![cfg(test)]\nfn a() {}").lines[1].is_test);
    }
}
