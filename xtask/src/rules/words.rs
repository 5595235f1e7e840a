//! Words that mean "not finished", in code that is not test code.

use crate::{finding::Finding, source::Source};

/// Macros looked for in code, and words looked for in comments.
const MACROS: [&str; 2] = ["todo!", "unimplemented!"];
const WORDS: [&str; 3] = ["TODO", "FIXME", "XXX"];
const PHRASES: [&str; 1] = ["for now"];

pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| !source.is_generated()).flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines.iter().enumerate().filter(|(_, line)| !line.is_test) {
        let lower = line.comment.to_ascii_lowercase();
        let macros = MACROS.iter().filter(|word| has_word(&line.code, word));
        let words = WORDS.iter().filter(|word| has_word(&line.comment, word));
        let phrases = PHRASES.iter().filter(|phrase| has_word(&lower, phrase));
        for word in macros.chain(words).chain(phrases) {
            let text = format!("`{word}`: finish it, or write down what is true and open an issue");
            findings.push(Finding::error(&source.path, number + 1, text));
        }
    }
    findings
}

/// Whether `word` stands in `text` and is not part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let behind = &text[at + word.len()..];
        !text[..at].ends_with(is_name) && (word.ends_with('!') || !behind.starts_with(is_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let findings = super::check(&[Source::new(path, text)]);
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected
            .iter()
            .map(|word| {
                format!(
                    "{path}:1: `{word}`: finish it, or write down what is true and open an issue"
                )
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words() {
        check("a.rs", "fn a() { todo!(\"x\") }", &["todo!"]);
        check("a.rs", "fn a() { unimplemented!() } // FIXME", &["unimplemented!", "FIXME"]);
        check("a.rs", "// XXX: For now this is enough", &["XXX", "for now"]);
        check("a.rs", "// XXXX, before nowhere, for nowhere; todo!", &[]);
        check("a.rs", "x(\"FIXME for now todo!\"); my_todo!()", &[]);
        check("src/tests.rs", "// FIXME\n", &[]);
    }
}
