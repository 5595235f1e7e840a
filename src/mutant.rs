//! Deliberate faults, to prove that the checkers of chaos-tests notice them. Only the feature
//! `mutants` compiles them in; a production build knows no such flag.

use clap::ValueEnum;

/// A deliberate fault.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutant {
    /// Says that a commit is durable before it is written.
    AckBeforeCommit,
    /// Never syncs the log.
    NoFsync,
    /// Delivers without looking whether it was done before.
    NoDedupe,
    /// Writes and answers without looking whether the mailbox is still this node's.
    SkipFence,
    /// Does again whatever ended unknown, as if it had not happened.
    BlindRetry,
}

impl Mutant {
    /// What of it concerns the store.
    pub(crate) fn of_store(self) -> Option<store_embedded::Mutant> {
        match self {
            Self::AckBeforeCommit => Some(store_embedded::Mutant::AckBeforeCommit),
            Self::NoFsync => Some(store_embedded::Mutant::NoFsync),
            Self::NoDedupe | Self::SkipFence | Self::BlindRetry => None,
        }
    }

    /// What of it concerns mailboxes.
    pub(crate) fn of_mailboxes(self) -> service_mailbox::Config {
        service_mailbox::Config {
            without_dedupe: self == Self::NoDedupe,
            without_fence: self == Self::SkipFence,
            blind_retry: self == Self::BlindRetry,
            ..Default::default()
        }
    }
}
