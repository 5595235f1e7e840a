//! The model: a plain map, the operations on it, and what a transaction saw.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The whole database, without versions.
pub(super) type Model = BTreeMap<String, String>;

/// One operation of a random transaction.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Get {
        key: String,
    },
    /// The first key at or after this one.
    First {
        key: String,
    },
    Range {
        begin: String,
        end: String,
        limit: usize,
        reverse: bool,
    },
    Set {
        key: String,
        value: String,
    },
    Clear {
        key: String,
    },
    ClearRange {
        begin: String,
        end: String,
    },
    Append {
        key: String,
        value: String,
    },
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Value(Option<String>),
    /// `None` = none of the case's keys.
    Key(Option<String>),
    Rows {
        rows: Vec<(String, String)>,
        more: bool,
    },
    /// It was a write.
    Nothing,
}

impl Op {
    /// Does it to the model.
    pub(super) fn apply(&self, model: &mut Model) {
        match self {
            Self::Set { key, value } => drop(model.insert(key.clone(), value.clone())),
            Self::Clear { key } => drop(model.remove(key)),
            Self::ClearRange { begin, end } => {
                model.retain(|key, _| key < begin || key >= end);
            }
            Self::Append { key, value } => model.entry(key.clone()).or_default().push_str(value),
            Self::Get { .. } | Self::First { .. } | Self::Range { .. } => {}
        }
    }

    /// Whether the model explains what was seen.
    pub(super) fn explains(&self, model: &Model, seen: &Seen) -> bool {
        match (self, seen) {
            (Self::Get { key }, Seen::Value(value)) => model.get(key) == value.as_ref(),
            (Self::First { key }, Seen::Key(found)) => {
                model.range(key.clone()..).next().map(|(key, _)| key) == found.as_ref()
            }
            (Self::Range { begin, end, limit, reverse }, Seen::Rows { rows, more }) => {
                let bounds = (Bound::Included(begin), Bound::Excluded(end));
                let own = |(key, value): (&String, &String)| (key.clone(), value.clone());
                let mut expected: Vec<_> = match begin < end {
                    true => model.range::<String, _>(bounds).map(own).collect(),
                    false => Vec::new(),
                };
                if *reverse {
                    expected.reverse();
                }
                // A page may be short, but then says so.
                expected.truncate(if *more { rows.len() } else { *limit });
                *rows == expected
            }
            (_, Seen::Nothing) => true,
            _ => false,
        }
    }
}
