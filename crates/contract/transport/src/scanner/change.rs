//! Changes of a scanner.

use super::{OnFailure, OnFound, Scanner, ScannerPlace, Sees};

/// What to change of a scanner; `None` leaves a thing as it is. Its name and what it speaks stay.
#[derive(Clone, Debug, Default)]
pub struct ScannerChange {
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// When it is asked.
    pub order: Option<u32>,
    /// Where it is.
    pub place: Option<ScannerPlace>,
    /// Which mail it sees.
    pub sees: Option<Sees>,
    /// What becomes of mail when it fails.
    pub on_failure: Option<OnFailure>,
    /// What becomes of mail in which it finds something.
    pub on_found: Option<OnFound>,
    /// How long a message may wait for it.
    pub deadline_ms: Option<u64>,
    /// The largest message that it sees.
    pub size_bytes_max: Option<u64>,
    /// How many messages a node has in it at once.
    pub connections_max: Option<u32>,
}

impl ScannerChange {
    /// The scanner with the change made.
    #[must_use]
    pub fn applied(&self, old: &Scanner) -> Scanner {
        Scanner {
            name: old.name.clone(),
            language: old.language,
            enabled: self.enabled.unwrap_or(old.enabled),
            order: self.order.unwrap_or(old.order),
            place: self.place.clone().unwrap_or_else(|| old.place.clone()),
            sees: self.sees.unwrap_or(old.sees),
            on_failure: self.on_failure.unwrap_or(old.on_failure),
            on_found: self.on_found.unwrap_or(old.on_found),
            deadline_ms: self.deadline_ms.unwrap_or(old.deadline_ms),
            size_bytes_max: self.size_bytes_max.unwrap_or(old.size_bytes_max),
            connections_max: self.connections_max.unwrap_or(old.connections_max),
        }
    }
}
