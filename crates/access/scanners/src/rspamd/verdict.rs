//! What rspamd's answer means.
//!
//! | action | what becomes of the message |
//! |---|---|
//! | `no action` | it passes |
//! | `greylist` | it passes: rspamd says `soft reject` itself while it wants a sender to come again |
//! | `add header`, `rewrite subject`, `quarantine` | Junk Email |
//! | `soft reject` | the client is to come again |
//! | `reject` | as configured: refused, discarded or Junk Email |
//! | `discard` | it vanishes |
//!
//! Another action is one of the administrator's own: the message passes, and its name is told.

use crate::edits::EDITS_MAX;
use crate::outcome::{Answer, Edit, Trouble, Verdict};
use codec_mime::build::HeaderWriter;
use codec_mime::{encoded_word, header};
use contract_transport::scanner::OnFound;
use contract_transport::scanner::scanning::{Reply, plain};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many symbols are told, the heaviest first.
const SYMBOLS_MAX: usize = 8;

/// What of the document is looked at.
#[derive(Deserialize)]
struct Document {
    action: String,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    required_score: f64,
    #[serde(default)]
    is_skipped: bool,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
    /// Texts by their purpose; `smtp_message` is for the client.
    #[serde(default)]
    messages: Value,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    milter: Milter,
}

#[derive(Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f64,
}

/// Changes of the header.
#[derive(Deserialize, Default)]
struct Milter {
    /// A value, or an object with `value`, or a list of such.
    #[serde(default)]
    add_headers: BTreeMap<String, Value>,
    /// Which of a name: 0 for all, negative ones from the end.
    #[serde(default)]
    remove_headers: BTreeMap<String, Value>,
}

/// Reads it.
/// `front` and `old` are the header that it has seen; only the latter can be changed.
pub(super) fn read(
    body: &[u8],
    (front, old): (&[u8], &[u8]),
    on_found: OnFound,
) -> Result<Answer, Trouble> {
    let document: Document = serde_json::from_slice(body)
        .map_err(|error| Trouble::Nonsense(plain(&error.to_string())))?;
    let Document { score, required_score, .. } = document;
    if !score.is_finite() || !required_score.is_finite() {
        return Err(Trouble::Nonsense("a score that is no number".to_owned()));
    }
    let action = document.action.as_str();
    let skipped = if document.is_skipped { ", skipped" } else { "" };
    let text = format!(
        "rspamd gave {score:.1} of {required_score:.1}: {action}{skipped}{}",
        symbols(&document.symbols)
    );
    let told = document.messages["smtp_message"].as_str().filter(|told| !told.is_empty());
    let mut edits = edits(&document.milter, front, old);
    let verdict = match action {
        "reject" => {
            let told = told.unwrap_or("the message is refused as spam");
            return Ok(Answer { edits, ..Answer::found(on_found, told, text) });
        }
        "soft reject" => Verdict::Refused(Reply::later(plain(told.unwrap_or("try again later")))),
        "discard" => Verdict::Discarded,
        "add header" | "rewrite subject" | "quarantine" => Verdict::Junk,
        _ => Verdict::Clean,
    };
    if let Some(subject) = document.subject.as_ref().filter(|_| action == "rewrite subject") {
        edits.extend(rewritten(subject, old));
    }
    Ok(Answer { verdict, edits, text })
}

/// The symbols that count most, as ` (NAME 5.0, …)`.
fn symbols(all: &BTreeMap<String, Symbol>) -> String {
    let mut all: Vec<_> = all.iter().filter(|(_, symbol)| symbol.score != 0.0).collect();
    all.sort_by(|(_, left), (_, right)| right.score.abs().total_cmp(&left.score.abs()));
    let shown = all.iter().take(SYMBOLS_MAX).map(|(name, one)| format!("{name} {:.1}", one.score));
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

/// Removals first, the last field first, so that each number means what it meant to rspamd.
fn edits(milter: &Milter, front: &[u8], old: &[u8]) -> Vec<Edit> {
    let mut removed: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (name, which) in milter.remove_headers.iter().take(EDITS_MAX) {
        let list = match which {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        for which in list.iter().take(EDITS_MAX).filter_map(Value::as_i64) {
            if let Some(number) = number(which, || count(front, name), || count(old, name)) {
                removed.entry(name.to_ascii_lowercase()).or_default().insert(number);
            }
        }
    }
    let mut edits = Vec::new();
    for (name, numbers) in removed {
        let all = numbers.contains(&0);
        let numbers = numbers.into_iter().rev().filter(|number| !all || *number == 0);
        edits.extend(numbers.map(|number| Edit::Remove { name: name.clone(), number }));
    }
    for (name, value) in milter.add_headers.iter().take(EDITS_MAX) {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let values = list.iter().take(EDITS_MAX).filter_map(|one| match one {
            Value::String(value) => Some(value.clone()),
            Value::Object(one) => one.get("value")?.as_str().map(str::to_owned),
            _ => None,
        });
        edits.extend(values.map(|value| Edit::Add { name: name.clone(), value }));
    }
    edits
}

/// How many fields of a name there are.
fn count(old: &[u8], name: &str) -> usize {
    header::fields(old).filter(|field| field.is(name.as_bytes())).count()
}

/// Which field behind the front is meant, counted from 1; 0 for all, `None` for one that is not
/// there.
fn number(
    which: i64,
    front: impl FnOnce() -> usize,
    count: impl FnOnce() -> usize,
) -> Option<usize> {
    match usize::try_from(which) {
        Ok(0) => Some(0),
        Ok(number) => number.checked_sub(front()).filter(|number| *number > 0),
        Err(_) => {
            let back = usize::try_from(which.unsigned_abs()).ok()?;
            (count() + 1).checked_sub(back).filter(|number| *number > 0)
        }
    }
}

/// The subject that it wants; `%s` in it stands for the old one.
fn rewritten(wanted: &str, old: &[u8]) -> Option<Edit> {
    let known = header::find(old, b"Subject").map(|field| encoded_word::decode(&field.text()));
    let wanted = plain_line(&wanted.replace("%s", &known.unwrap_or_default()));
    let mut writer = HeaderWriter::new();
    writer.text("Subject", &wanted);
    let field = String::from_utf8(writer.fields()).ok()?;
    let value = field.strip_prefix("Subject:")?.trim().to_owned();
    Some(Edit::Change { name: "Subject".to_owned(), number: 1, value })
}

fn plain_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &[u8] = b"Subject: hi\r\nX-Spam: 1\r\nX-Spam: 2\r\n\r\n";

    fn read(body: &[u8], old: &[u8], on_found: OnFound) -> Result<Answer, Trouble> {
        super::read(body, (b"X-Front: 1\r\n", old), on_found)
    }

    fn add(name: &str, value: &str) -> Edit {
        Edit::Add { name: name.into(), value: value.into() }
    }

    fn remove(name: &str, number: usize) -> Edit {
        Edit::Remove { name: name.into(), number }
    }

    #[test]
    fn actions_become_verdicts() {
        let check = |action: &str, expect: Verdict| {
            let text = format!(r#"{{"action": "{action}", "score": 7.25, "required_score": 15}}"#);
            let found = read(text.as_bytes(), OLD, OnFound::Refuse).unwrap();
            assert_eq!(found.verdict, expect, "{action}");
            assert_eq!(found.text, format!("rspamd gave 7.2 of 15.0: {action}"));
        };
        check("no action", Verdict::Clean);
        check("greylist", Verdict::Clean);
        check("add header", Verdict::Junk);
        check("rewrite subject", Verdict::Junk);
        check("quarantine", Verdict::Junk);
        check("soft reject", Verdict::Refused(Reply::later("try again later")));
        check("reject", Verdict::Refused(Reply::refused("the message is refused as spam")));
        check("discard", Verdict::Discarded);
        check("an action of my own", Verdict::Clean);
    }

    #[test]
    fn what_it_says_is_told() {
        let text = r#"{"action": "reject", "score": 15.24, "required_score": 15.0, "is_skipped": true,
            "symbols": {"A": {"score": 1.5}, "GTUBE": {"score": 13.7, "options": ["x"]},
                "ZERO": {"score": 0}, "HAM": {"score": -2}},
            "messages": {"smtp_message": "Gtube pattern"}, "unknown": [1, {}]}"#;
        let found = read(text.as_bytes(), OLD, OnFound::Refuse).unwrap();
        assert_eq!(found.verdict, Verdict::Refused(Reply::refused("Gtube pattern")));
        let expect = "rspamd gave 15.2 of 15.0: reject, skipped (GTUBE 13.7, HAM -2.0, A 1.5)";
        assert_eq!(found.text, expect);
        let junk = read(text.as_bytes(), OLD, OnFound::Junk).unwrap();
        assert_eq!((junk.verdict, junk.text), (Verdict::Junk, found.text));
    }

    #[test]
    fn changes_of_the_header_are_taken() {
        let check = |milter: &str, expect: &[Edit]| {
            let text = format!(r#"{{"action": "no action", "milter": {milter}}}"#);
            let found = read(text.as_bytes(), OLD, OnFound::Refuse).unwrap();
            assert_eq!(found.edits, expect, "{milter}");
        };
        check("{}", &[]);
        check(r#"{"add_headers": {"X-A": "1"}}"#, &[add("X-A", "1")]);
        let list = r#"{"add_headers": {"X-A": [{"value": "1", "order": 0}, "2", 3, {}]}}"#;
        check(list, &[add("X-A", "1"), add("X-A", "2")]);
        check(r#"{"remove_headers": {"X-Spam": 0}}"#, &[remove("x-spam", 0)]);
        check(r#"{"remove_headers": {"X-Spam": [1, 0]}}"#, &[remove("x-spam", 0)]);
        let both = [remove("x-spam", 2), remove("x-spam", 1)];
        check(r#"{"remove_headers": {"X-Spam": [1, -1]}}"#, &both);
        check(r#"{"remove_headers": {"X-Spam": [1, 2, 2]}}"#, &both);
        check(r#"{"remove_headers": {"X-Spam": 1, "x-spam": 2}}"#, &both);
        check(
            r#"{"add_headers": {"X-Spam": "new"}, "remove_headers": {"X-Spam": 1}}"#,
            &[remove("x-spam", 1), add("X-Spam", "new")],
        );
        // It counts what stands in front, of which nothing is removed.
        let front = r#"{"remove_headers": {"X-Front": [1, 2, -1]}}"#;
        check(front, &[remove("x-front", 1)]);
        check(r#"{"remove_headers": {"X-Spam": -3, "Y": -1, "Z": "all"}}"#, &[]);
    }

    #[test]
    fn the_subject_is_rewritten() {
        let check = |subject: &str, expect: &str| {
            let value = serde_json::to_string(subject).unwrap();
            let text = format!(r#"{{"action": "rewrite subject", "subject": {value}}}"#);
            let found = read(text.as_bytes(), OLD, OnFound::Refuse).unwrap();
            let value = expect.to_owned();
            let expect = Edit::Change { name: "Subject".into(), number: 1, value };
            assert_eq!(found.edits, [expect], "{subject}");
        };
        check("*** SPAM *** %s", "*** SPAM *** hi");
        check("plain\r\nX: y", "plain  X: y");
        let text = br#"{"action": "no action", "subject": "x"}"#;
        assert_eq!(read(text, OLD, OnFound::Refuse).unwrap().edits, []);
    }

    #[test]
    fn attack_nonsense_is_no_verdict() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "nonsense",
            r#"{"action": 1}"#,
            r#"{"score": 1}"#,
            r#"{"action": "no action", "score": "x"}"#,
            r#"{"action": "no action", "milter": 1}"#,
            r#"{"action": "no action", "score": 1e999}"#,
            r#"{"action": "no action""#,
            r#"{"action": "no action", "symbols": {"A": 1}}"#,
        ] {
            let found = read(text.as_bytes(), OLD, OnFound::Refuse);
            assert!(matches!(found, Err(Trouble::Nonsense(_))), "{text}: {found:?}");
        }
        let deep = format!(r#"{{"action": "no action", "messages": {}"#, "[".repeat(100_000));
        let found = read(deep.as_bytes(), OLD, OnFound::Refuse);
        assert!(matches!(found, Err(Trouble::Nonsense(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _either = read(&body, OLD, OnFound::Refuse);
        }

        #[test]
        fn fields_are_counted_from_either_end(which in -5_i64..5, count in 0_usize..4) {
            let found = number(which, || 0, || count);
            if which < 0 {
                prop_assert!(found.is_none_or(|number| (1..=count).contains(&number)));
            } else {
                prop_assert_eq!(found, usize::try_from(which).ok());
            }
        }
    }
}
