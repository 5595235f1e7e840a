//! What calls give, compared with what was recorded.

use super::player::{Player, field};
use super::text::{self, show};
use crate::{Retry, StoreError, StoreResult};
use bytes::Bytes;
use serde_json::Value as Json;

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Value(Option<Bytes>),
    Key(Bytes),
    Rows(Vec<(Bytes, Bytes)>),
    Number(i64),
    Stamp([u8; 10]),
}

pub(super) type Outcome = StoreResult<Answer>;

impl Player<'_> {
    /// Compares what a call gave with what was recorded.
    pub(super) fn check(&mut self, outcome: &Outcome, step: &Json) {
        let wanted = &step["result"];
        let answer = match outcome {
            Err(error) => {
                let code = i64::from(error.code());
                assert_eq!(Some(code), step["error"].as_i64(), "got {error}, {step}");
                return;
            }
            Ok(answer) => answer,
        };
        assert!(step["error"].is_null(), "got {answer:?}, {step}");
        match answer {
            Answer::Done => assert!(wanted == "ok" || wanted == "fired", "{step}"),
            Answer::Value(value) => {
                let wanted = wanted.as_str().map(|t| text::bytes(t, &self.vars));
                assert!(value.as_deref() == wanted.as_deref(), "got {value:?}, {step}");
            }
            Answer::Key(key) => {
                let wanted = text::key(wanted.as_str().expect("a key"), &self.vars);
                assert!(*key == wanted, "got {}, {step}", show(key));
            }
            Answer::Rows(rows) => self.same_rows(rows, wanted, step),
            Answer::Number(number) => match wanted["var"].as_str() {
                Some(name) => drop(self.vars.numbers.insert(name.to_owned(), *number)),
                None => assert_eq!(Some(*number), wanted.as_i64(), "{step}"),
            },
            Answer::Stamp(stamp) => {
                self.vars.stamps.insert(field(wanted, "stamp").to_owned(), *stamp);
            }
        }
    }

    pub(super) fn same_rows(&self, rows: &[(Bytes, Bytes)], wanted: &Json, step: &Json) {
        if let Some(count) = wanted["count"].as_u64() {
            let ends = [rows.first(), rows.last()].map(|row| row.map(|row| row.0.to_vec()));
            let end = |name: &str| wanted[name].as_str().map(|t| text::key(t, &self.vars));
            assert_eq!(rows.len() as u64, count, "{step}");
            assert_eq!(ends, ["first", "last"].map(end), "{step}");
            return;
        }
        let listed = wanted["kvs"].as_array().or(wanted.as_array()).expect("rows");
        let text_of = |json: &Json| json.as_str().expect("text").to_owned();
        let wanted: Vec<(Bytes, Bytes)> = listed
            .iter()
            .map(|row| {
                let key = text::key(&text_of(&row[0]), &self.vars);
                (key.into(), text::bytes(&text_of(&row[1]), &self.vars).into())
            })
            .collect();
        assert!(rows == wanted, "got {rows:?}, {step}");
    }
}

/// The code's own words about retrying.
pub(super) fn check_predicates(step: &Json) {
    let code = step["code"].as_i64().expect("a code") as i32;
    let error = StoreError::from_code(code);
    assert_eq!(error.code(), code, "{error}");
    // Fact 10: the recorded predicates contradict on_error for these two.
    if matches!(code, 1039 | 1079) {
        return;
    }
    let retry = error.retry();
    assert_eq!(step["maybe_committed"] == true, retry == Retry::MaybeCommitted, "{error}");
    assert_eq!(step["retryable_not_committed"] == true, retry == Retry::Safe, "{error} {step}");
}
