//! IMAP4rev1 and IMAP4rev2 sessions (RFC 3501, RFC 9051); the extensions are those that
//! `command/capability.rs` names.
//!
//! ```text
//! Connection ─ wire ─▶ session (states, dispatch) ─▶ command/<name> ─▶ contracts
//!                ◀── untagged data, then the tagged Reply ──┘  view: what this client was told
//! ```
//!
//! - A session is the actor that the listener starts for its connection: one task whose inbox is
//!   the connection; a panic ends it alone. All its state is in `session::Session`.
//! - `session.rs` holds the states of RFC 3501 §3 and the dispatch; `command/` one file for each
//!   command; handlers put untagged data into the wire's buffer and return a `Reply`.
//! - `view.rs` is the session's own picture of the selected folder: message numbers, flags, what
//!   the client has been told and what not. It is pure.
//! - `reply.rs` is the only place where a [`base::Error`] becomes NO with a response code.
//! - Mailboxes are reached through the mailbox contract alone, wherever their owner is; a session
//!   survives the owner's move, as it remembers nothing but change numbers and its view.

mod body;
mod claims;
mod command;
pub mod config;
mod flags;
mod modseq;
mod others;
mod reply;
mod rights;
mod selection;
mod service;
mod session;
mod state;
mod sync;
mod transcript;
mod tree;
mod uid_only;
mod view;
mod wire;

pub use config::Config;
pub use service::ImapService;
pub use transcript::{CommandLog, PROTOCOL_LOG};
