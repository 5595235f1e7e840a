//! Files and functions stay small enough to be read.
//!
//! A file over 600 lines fails, over 400 warns. A function over 70 lines fails unless it is listed
//! in `xtask/ratchet.txt` with at least its length; then it warns. The list only shrinks: an entry
//! that is no longer needed, or is too generous, warns. Test code may have long functions (tables),
//! generated files (the bindings') may have any size.

use crate::{
    finding::Finding,
    source::{Source, behind_block},
    tree::RATCHET,
};

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_AIM: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// A function that is too long.
#[derive(Debug, PartialEq, Eq)]
struct Long<'a> {
    path: &'a str,
    name: String,
    /// Where it begins, counted from 1; in the ratchet, the line of the entry.
    line: usize,
    lines: usize,
}

pub(crate) fn check(sources: &[Source], ratchet: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_generated()) {
        findings.extend(check_file(source));
    }
    let (longs, entries) = (all_long(sources), entries(ratchet, &mut findings));
    for long in &longs {
        let text =
            format!("fn {} has {} lines, at most {FUNCTION_LINES_MAX}", long.name, long.lines);
        let is_listed = entries.iter().any(|entry| same(entry, long) && entry.lines >= long.lines);
        findings.push(if is_listed {
            Finding::warning(long.path, long.line, format!("{text} for a new one; split it"))
        } else {
            Finding::error(long.path, long.line, format!("{text}; split it by what it does"))
        });
    }
    for entry in &entries {
        if !longs.iter().any(|long| same(entry, long) && entry.lines == long.lines) {
            let text = format!(
                "fn {} in {} is shorter now or gone; run `cargo xtask tidy --update-ratchet`",
                entry.name, entry.path
            );
            findings.push(Finding::warning(RATCHET, entry.line, text));
        }
    }
    findings
}

/// The text of the ratchet file that fits the tree.
pub(crate) fn ratchet_of(sources: &[Source]) -> String {
    let mut text = String::from(
        "# Functions over 70 lines that were there before: lines, file, name. \
         This list only shrinks.\n",
    );
    for Long { path, name, lines, .. } in all_long(sources) {
        text.push_str(&format!("{lines} {path} {name}\n"));
    }
    text
}

fn same(entry: &Long<'_>, long: &Long<'_>) -> bool {
    entry.path == long.path && entry.name == long.name
}

fn check_file(source: &Source) -> Option<Finding> {
    let lines = source.lines.len();
    let text = |limit: usize| format!("{lines} lines, at most {limit}; split it by subject");
    if lines > FILE_LINES_MAX {
        Some(Finding::error(&source.path, FILE_LINES_MAX + 1, text(FILE_LINES_MAX)))
    } else if lines > FILE_LINES_AIM {
        Some(Finding::warning(&source.path, FILE_LINES_AIM + 1, text(FILE_LINES_AIM)))
    } else {
        None
    }
}

fn entries<'a>(ratchet: &'a str, findings: &mut Vec<Finding>) -> Vec<Long<'a>> {
    let mut entries = Vec::new();
    for (number, text) in ratchet.lines().enumerate() {
        if text.starts_with('#') || text.trim().is_empty() {
            continue;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = number + 1;
        match (words.as_slice(), words.first().and_then(|lines| lines.parse().ok())) {
            (&[_, path, name], Some(lines)) => {
                entries.push(Long { path, name: name.to_owned(), line, lines });
            }
            _ => findings.push(Finding::error(RATCHET, line, "expected `lines file function`")),
        }
    }
    entries
}

fn all_long(sources: &[Source]) -> Vec<Long<'_>> {
    sources.iter().filter(|source| !source.is_generated()).flat_map(long_functions).collect()
}

fn long_functions(source: &Source) -> Vec<Long<'_>> {
    let code = source.code();
    let mut found = Vec::new();
    for at in 0..code.len() {
        let Some((name, open)) = function_at(&code, at) else {
            continue;
        };
        let first = code[at].0;
        let lines = code[behind_block(&code, open) - 1].0 - first + 1;
        if lines > FUNCTION_LINES_MAX && !source.lines[first].is_test {
            found.push(Long { path: &source.path, name, line: first + 1, lines });
        }
    }
    found
}

/// If the word `fn` with a name and a body begins here: its name, and where its `{` is.
fn function_at(code: &[(usize, char)], at: usize) -> Option<(String, usize)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let character = |at: usize| code.get(at).map_or(' ', |&(_, c)| c);
    let is_word = character(at) == 'f'
        && character(at + 1) == 'n'
        && character(at + 2).is_whitespace()
        && (at == 0 || !is_name(character(at - 1)));
    if !is_word {
        return None;
    }
    let behind = code[at + 2..].iter().map(|&(_, c)| c);
    let name: String =
        behind.skip_while(|c| c.is_whitespace()).take_while(|&c| is_name(c) || c == '#').collect();
    if name.is_empty() {
        return None;
    }
    // The body begins at the first brace outside of brackets; `[u8; 4]` has a `;` of its own.
    let mut depth = 0i32;
    for (offset, &(_, c)) in code[at..].iter().enumerate() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some((name, at + offset)),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> String {
        format!("fn f(a: [u8; 4]) -> u8 {{\n{}}}\n", "    \"}\"; // }\n".repeat(lines - 2))
    }

    fn check(path: &str, text: &str, ratchet: &str, expected: &[&str]) {
        let findings = super::check(&[Source::new(path, text)], ratchet);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, expected);
    }

    #[test]
    fn files() {
        check("a.rs", &"\n".repeat(400), "", &[]);
        check(
            "a.rs",
            &"\n".repeat(401),
            "",
            &["a.rs:401: warning: 401 lines, at most 400; split it by subject"],
        );
        check(
            "a.rs",
            &"\n".repeat(601),
            "",
            &["a.rs:601: 601 lines, at most 600; split it by subject"],
        );
        let bindings = "crates/store/fdb-sys/src/lib.rs";
        check(bindings, &format!("// @generated\n{}", "\n".repeat(601)), "", &[]);
    }

    #[test]
    fn functions() {
        check("a.rs", &function(70), "", &[]);
        check(
            "a.rs",
            &function(71),
            "",
            &["a.rs:1: fn f has 71 lines, at most 70; split it by what it does"],
        );
        check("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}", function(71)), "", &[]);
        check(
            "a.rs",
            &format!("trait T {{ fn g(); }}\ntype F = fn (u8);\n{}", function(70)),
            "",
            &[],
        );
        check("tests/a.rs", &function(71), "", &[]);
    }

    #[test]
    fn the_ratchet_allows_what_was_there_and_only_shrinks() {
        let known = "a.rs:1: warning: fn f has 71 lines, at most 70 for a new one; split it";
        let stale = "xtask/ratchet.txt:1: warning: fn f in a.rs is shorter now or gone; \
                     run `cargo xtask tidy --update-ratchet`";
        check("a.rs", &function(71), "71 a.rs f", &[known]);
        check("a.rs", &function(71), "72 a.rs f", &[known, stale]);
        check("a.rs", &function(70), "71 a.rs f", &[stale]);
        check(
            "a.rs",
            &function(72),
            "71 a.rs f",
            &["a.rs:1: fn f has 72 lines, at most 70; split it by what it does", stale],
        );
        check(
            "a.rs",
            "",
            "# comment\n\nx a.rs f",
            &["xtask/ratchet.txt:3: expected `lines file function`"],
        );
        let source = Source::new("a.rs", &function(80));
        check(
            "a.rs",
            &function(80),
            &ratchet_of(&[source]),
            &["a.rs:1: warning: fn f has 80 lines, at most 70 for a new one; split it"],
        );
    }
}
