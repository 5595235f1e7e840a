//! The values commands and responses are made of; each file holds both directions of one value.

mod capability;
mod datetime;
pub(crate) mod flag;
mod mailbox;
pub mod mutf7;
mod pattern;
mod rights;
mod secret;
mod sequence;
mod tag;

pub use capability::Capability;
pub use datetime::{Date, DateTime};
pub use flag::Flag;
pub use mailbox::{MailboxName, NameError, Names};
pub use pattern::ListPattern;
pub use rights::Rights;
pub use secret::Secret;
pub use sequence::{IdRange, IdSet, SequenceSet};
pub use tag::Tag;

pub(crate) use mailbox::decode_argument;
pub(crate) use sequence::put_ranges;
