//! POP3 sessions (RFC 1939), with CAPA, STLS, SASL, UIDL, TOP, PIPELINING, response codes, UTF8 and
//! LANG.
//!
//! ```text
//! Connection ─ wire ─▶ session (states, dispatch) ─▶ command/<name> ─▶ contracts
//!                ◀── lines and messages, then the Reply ──┘   maildrop: the Inbox at sign-in
//! ```
//!
//! - A session is the actor that the listener starts for its connection: one task whose inbox is
//!   the connection; a panic ends it alone. All its state is in `session::Session`.
//! - `session.rs` holds the states of RFC 1939 §3 and the dispatch; `command/` one file for each
//!   command.
//! - `maildrop.rs` is the Inbox as it was at sign-in: which number is which message, and what is to
//!   be removed. It is pure, and 8 bytes a message.
//! - `reply.rs` is the only place where a [`base::Error`] becomes `-ERR` with a response code;
//!   `phrase.rs` has the words, in the languages of LANG.
//! - The mailbox is reached through the mailbox contract alone, wherever its owner is; a session
//!   survives the owner's move, as it remembers nothing but numbers, UIDs and sizes.
//!
//! # Several sessions at once
//!
//! RFC 1939 §3 asks for an exclusive lock while a session is open. Like Exchange we take none: a
//! telephone that hangs must not shut out the computer, and nothing here needs it. What a session
//! shows is fixed at sign-in; what it removes it names by UID, which is never given to another
//! message. So two sessions cannot remove each other's messages by mistake, and a message that
//! somebody else has removed meanwhile is answered with `-ERR`.

mod command;
pub mod config;
mod maildrop;
mod phrase;
mod reply;
mod service;
mod session;
mod state;
mod wire;

pub use config::Config;
pub use service::Pop3Service;
