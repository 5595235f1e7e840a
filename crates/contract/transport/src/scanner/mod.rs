//! Scanners: programs outside of Rialto that look at mail before it is accepted (clamd, rspamd,
//! milters), as administrators configure them.
//!
//! ```text
//! end of the message ─▶ Scanners::scan ─▶ scanner, scanner … in their order ─▶ Scanned ─▶ reply
//!                          every one within its own time, or what `failure` says
//! ```
//!
//! This file holds the settings, which count for all nodes; [`scanning`] what is asked of a scanner
//! and what comes back.

mod change;
mod place;
pub mod scanning;

pub use change::ScannerChange;
pub use place::ScannerPlace;

use crate::connector::check_name;
use async_trait::async_trait;
use base::{Error, Result};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many scanners there may be: each adds its time to every message.
pub const SCANNERS_MAX: usize = 16;

/// What a scanner may be given for one message, in milliseconds, and what it is given where nothing
/// else is said. A client waits ten minutes for the reply to a message (RFC 5321 §4.5.3.2.6), which
/// all scanners together must leave some of.
pub const DEADLINE_MS: std::ops::RangeInclusive<u64> = 100..=120_000;
/// See [`DEADLINE_MS`].
pub const DEADLINE_MS_DEFAULT: u64 = 30_000;

/// The largest message that a scanner sees where nothing else is said: what clamd takes.
pub const SIZE_BYTES_DEFAULT: u64 = 25 << 20;

/// How many messages one node has in a scanner at once where nothing else is said.
pub const CONNECTIONS_DEFAULT: u32 = 50;
/// The most that may be said.
pub const CONNECTIONS_MAX: u32 = 1_000;

/// What a scanner speaks. Stable in the store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Language {
    /// clamd's INSTREAM.
    Clamd,
    /// rspamd's `/checkv2` over HTTP.
    Rspamd,
    /// The milter protocol, version 6.
    Milter,
}

/// Which mail a scanner sees. Stable in the store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Sees {
    /// What comes from strangers.
    Strangers,
    /// What people who signed in and servers and devices of ours send.
    Ours,
    /// Both.
    #[default]
    All,
}

/// What becomes of a message when its scanner does not answer, or answers nonsense. Stable in the
/// store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnFailure {
    /// It is taken, with a field that says that it was not scanned.
    Accept,
    /// Its client is told to come again.
    #[default]
    Defer,
    /// It is taken, and goes to Junk Email.
    Junk,
}

/// What becomes of a message in which a scanner has found something. Stable in the store: append
/// variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnFound {
    /// It is refused.
    #[default]
    Refuse,
    /// Its client hears that it was taken, and it is gone.
    Discard,
    /// It is taken, and goes to Junk Email.
    Junk,
}

/// The words that people write for a choice.
macro_rules! words {
    ($type:ty, $what:literal, $($word:literal => $variant:path),+ $(,)?) => {
        impl $type {
            /// As people write it.
            pub fn word(self) -> &'static str {
                match self { $($variant => $word),+ }
            }

            /// Reads the word.
            ///
            /// # Errors
            /// [`base::Kind::Invalid`], with the words that there are.
            pub fn of_word(word: &str) -> Result<Self> {
                match word.to_ascii_lowercase().as_str() {
                    $($word => Ok($variant),)+
                    _ => Err(Error::invalid(format!(
                        "\"{}\" is no {}: {}", word.escape_debug(), $what, [$($word),+].join(", ")
                    ))),
                }
            }
        }
    };
}

words!(Language, "protocol of a scanner",
    "clamd" => Self::Clamd, "rspamd" => Self::Rspamd, "milter" => Self::Milter);
words!(Sees, "kind of mail to see",
    "strangers" => Self::Strangers, "ours" => Self::Ours, "all" => Self::All);
words!(OnFailure, "choice for failures",
    "accept" => Self::Accept, "defer" => Self::Defer, "junk" => Self::Junk);
words!(OnFound, "choice for what is found",
    "refuse" => Self::Refuse, "discard" => Self::Discard, "junk" => Self::Junk);

/// One scanner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scanner {
    /// Its name: lower-case letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// Whether it is asked.
    pub enabled: bool,
    /// Smaller ones are asked first; of equal ones, by name.
    pub order: u32,
    /// What it speaks.
    pub language: Language,
    /// Where it is.
    pub place: ScannerPlace,
    /// Which mail it sees.
    pub sees: Sees,
    /// What becomes of mail when it fails.
    pub on_failure: OnFailure,
    /// What becomes of mail in which it finds something.
    pub on_found: OnFound,
    /// How long a message may wait for it in all.
    pub deadline_ms: u64,
    /// Larger messages go past it.
    pub size_bytes_max: u64,
    /// How many messages one node has in it at once.
    pub connections_max: u32,
}

impl Scanner {
    /// A scanner of which nothing else is said.
    pub fn new(name: &str, language: Language, place: ScannerPlace) -> Self {
        Self {
            name: name.to_owned(),
            enabled: true,
            order: 100,
            language,
            place,
            sees: Sees::default(),
            on_failure: OnFailure::default(),
            on_found: OnFound::default(),
            deadline_ms: DEADLINE_MS_DEFAULT,
            size_bytes_max: SIZE_BYTES_DEFAULT,
            connections_max: CONNECTIONS_DEFAULT,
        }
    }

    /// Whether it is to see such mail.
    pub fn wants(&self, is_ours: bool) -> bool {
        self.enabled
            && match self.sees {
                Sees::Strangers => !is_ours,
                Sees::Ours => is_ours,
                Sees::All => true,
            }
    }

    /// Refuses what can never work.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the reason.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let wrong = |text: String| Err(Error::invalid(format!("scanner {}: {text}", self.name)));
        self.place.check()?;
        if !DEADLINE_MS.contains(&self.deadline_ms) {
            let (from, to) = DEADLINE_MS.into_inner();
            return wrong(format!("it may take {from} to {to} ms, not {}", self.deadline_ms));
        }
        if self.size_bytes_max == 0 {
            return wrong("it would see no message at all; disable it instead".to_owned());
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections_max) {
            return wrong(format!("it may have 1 to {CONNECTIONS_MAX} connections"));
        }
        Ok(())
    }
}

/// The scanners of the organisation. Every change is one transaction with its audit record, and
/// counts for messages on every node within about a second.
#[async_trait]
pub trait ScannerSettings: Send + Sync + 'static {
    /// What this node knows, in the order in which they are asked; never waits.
    fn scanner_table(&self) -> Arc<Vec<Arc<Scanner>>>;

    /// All of them, as they are stored now, in the same order.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn scanners(&self) -> Result<Arc<Vec<Arc<Scanner>>>>;

    /// Makes one.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`], [`base::Kind::Limit`].
    async fn create_scanner(&self, actor: &Actor, new: Scanner) -> Result<Arc<Scanner>>;

    /// Changes one. Messages that are being scanned are not disturbed.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Invalid`].
    async fn update_scanner(
        &self,
        actor: &Actor,
        name: &str,
        change: ScannerChange,
    ) -> Result<Arc<Scanner>>;

    /// Removes one.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn remove_scanner(&self, actor: &Actor, name: &str) -> Result<()>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scanner() -> Scanner {
        Scanner::new("av", Language::Clamd, "127.0.0.1:3310".parse().unwrap())
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |edit: &dyn Fn(&mut Scanner), expect: Option<&str>| {
            let mut one = scanner();
            edit(&mut one);
            match (one.check(), expect) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) if error.text.contains(part) => {}
                (found, _) => panic!("{found:?} for {one:?}, not {expect:?}"),
            }
        };
        check(&|_| {}, None);
        check(&|one| one.name = "A V".into(), Some("name"));
        check(&|one| one.deadline_ms = 99, Some("100 to 120000 ms"));
        check(&|one| one.deadline_ms = 120_001, Some("100 to 120000 ms"));
        check(&|one| one.size_bytes_max = 0, Some("no message at all"));
        check(&|one| one.connections_max = 0, Some("1 to 1000"));
        check(&|one| one.place = ScannerPlace::Tcp { host: "x y".into(), port: 1 }, Some("x y"));
    }

    #[test]
    fn each_sees_what_it_is_for() {
        let check = |sees, strangers: bool, ours: bool| {
            let one = Scanner { sees, ..scanner() };
            assert_eq!((one.wants(false), one.wants(true)), (strangers, ours), "{sees:?}");
            let one = Scanner { enabled: false, ..one };
            assert_eq!((one.wants(false), one.wants(true)), (false, false), "{sees:?}");
        };
        check(Sees::Strangers, true, false);
        check(Sees::Ours, false, true);
        check(Sees::All, true, true);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["clamd", "rspamd", "milter"] {
            assert_eq!(Language::of_word(word).unwrap().word(), word);
        }
        for word in ["accept", "defer", "junk"] {
            assert_eq!(OnFailure::of_word(word).unwrap().word(), word);
        }
        for word in ["refuse", "discard", "junk"] {
            assert_eq!(OnFound::of_word(word).unwrap().word(), word);
        }
        for word in ["strangers", "ours", "all"] {
            assert_eq!(Sees::of_word(&word.to_uppercase()).unwrap().word(), word);
        }
        let error = Language::of_word("icap").unwrap_err();
        assert_eq!(error.text, "\"icap\" is no protocol of a scanner: clamd, rspamd, milter");
    }
}
