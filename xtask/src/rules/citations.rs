//! Every standard the code cites stands in docs/standards.md.
//!
//! The code says `RFC 5321 §4.1.1` or `MS-OXCMSG` where it obeys one; the table of that page has a
//! row for each, beginning `| RFC 5321` or `| MS-OXCMSG` (a link is fine too). Looked at are
//! comments everywhere, and strings outside of tests. `MS-OX*` names a family and is no citation.

use std::collections::BTreeSet;

use crate::{
    finding::Finding,
    source::{Line, Source},
    tree::STANDARDS,
};

pub(crate) fn check(sources: &[Source], standards: Option<&str>) -> Vec<Finding> {
    let Some(standards) = standards else {
        let text = "missing; write one table row `| RFC nnnn | …` per standard the code cites";
        return vec![Finding::error(STANDARDS, 1, text)];
    };
    let listed = listed(standards);
    sources.iter().flat_map(|source| check_file(source, &listed)).collect()
}

fn check_file(source: &Source, listed: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines.iter().enumerate() {
        let next = source.lines.get(number + 1);
        let cited: BTreeSet<String> = citations(&text_of(line, next)).into_iter().collect();
        for standard in cited.difference(listed) {
            let text =
                format!("{standard} is not listed; add a row `| {standard} | …` to {STANDARDS}");
            findings.push(Finding::error(&source.path, number + 1, text));
        }
    }
    findings
}

/// The text of a line in which standards may be cited. Where a comment breaks between `RFC` and
/// its number, the number is fetched from the next line.
fn text_of(line: &Line, next: Option<&Line>) -> String {
    let mut text = line.comment.clone();
    if text.trim_end().ends_with("RFC") {
        let rest = next.map_or("", |next| next.comment.trim_start_matches(['/', '!', '*', ' ']));
        text.push(' ');
        text.extend(rest.chars().take_while(char::is_ascii_digit));
    }
    if !line.is_test {
        text.push(' ');
        text.push_str(&line.strings);
    }
    text
}

/// The standards cited in a text, as `RFC 5321` and `MS-OXCMSG`.
fn citations(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("RFC") {
        let digits: String = text[at + 3..]
            .trim_start_matches([' ', '\u{a0}'])
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if begins_word(text, at) && (1..=5).contains(&digits.len()) {
            found.push(format!("RFC {digits}"));
        }
    }
    for (at, _) in text.match_indices("MS-") {
        let rest = &text[at + 3..];
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).collect();
        let is_family = rest[name.len()..].starts_with('*');
        if begins_word(text, at) && name.len() >= 2 && !is_family {
            found.push(format!("MS-{name}"));
        }
    }
    found
}

fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-')
}

fn listed(standards: &str) -> BTreeSet<String> {
    let first_cells = standards.lines().filter_map(|line| {
        let cell = line.strip_prefix('|')?.split('|').next()?;
        let cell = cell.trim().trim_start_matches('[');
        (cell.starts_with("RFC") || cell.starts_with("MS-")).then(|| citations(cell))
    });
    first_cells.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| Standard | Status |\n|---|---|\n| RFC 5321 | all |\n\
                         | [RFC 3030](x) | RFC 9999 |\n| MS-OXCMSG | later |\n";

    fn check(path: &str, text: &str, expected: &[(usize, &str)]) {
        let findings = super::check(&[Source::new(path, text)], Some(TABLE));
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected
            .iter()
            .map(|(line, standard)| {
                format!(
                    "{path}:{line}: {standard} is not listed; add a row `| {standard} | …` to \
                     docs/standards.md"
                )
            })
            .collect();
        assert_eq!(findings, expected, "{text}");
    }

    #[test]
    fn comments_and_strings() {
        check("a.rs", "// RFC 5321 §4 and RFC 3030, [MS-OXCMSG]", &[]);
        check("a.rs", "// RFC 9999", &[(1, "RFC 9999")]);
        check("a.rs", "//! (RFC\n//! 1870 §4)", &[(1, "RFC 1870")]);
        check("a.rs", "x(\"see RFC822\");", &[(1, "RFC 822")]);
        check("a.rs", "/// RFC 1 and RFC 1 and MS-ASWBXML", &[(1, "MS-ASWBXML"), (1, "RFC 1")]);
        check("a.rs", "// MS-OX* and MS-AS*, RFCs, an RFC, XRFC 7, FORMS-AB", &[]);
        check("tests/a.rs", "x(\"RFC 7777\"); // RFC 8888", &[(1, "RFC 8888")]);
    }

    #[test]
    fn a_missing_page_is_one_finding() {
        let sources = [Source::new("a.rs", "// RFC 1\n// RFC 2")];
        assert_eq!(super::check(&sources, None).len(), 1);
    }
}
