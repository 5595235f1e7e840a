//! One thing to fix or to know.

use std::fmt;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Error,
    Warning,
}

/// What a rule found, and where. Sorts errors first, then by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    severity: Severity,
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    /// Must be fixed. `line` counts from 1.
    pub(crate) fn error(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, path: path.to_owned(), line, text: text.into() }
    }

    /// Should be looked at.
    pub(crate) fn warning(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, path: path.to_owned(), line, text: text.into() }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_error() { "" } else { "warning: " };
        write!(f, "{}:{}: {mark}{}", self.path, self.line, self.text)
    }
}
