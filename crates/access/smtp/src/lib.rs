//! SMTP sessions: the server (port 25) and client submission (587, and 465 with TLS at once).
//!
//! ```text
//! Connection ─▶ LineFramer ─▶ Command ─▶ Session::dispatch ─▶ command/<verb> ─▶ Reply ─▶ queued
//!     └ DATA, BDAT ─▶ decoder ─▶ Incoming: Scanner + Upload ─▶ accept ─▶ Transport | Mailboxes
//! ```
//!
//! One file for each verb under `command/`; each gives a reply value, and [`session`] alone writes
//! replies: they are queued and leave in one write when the input is used up (RFC 2920). A message
//! streams through: it is parsed and put into the blob store as it comes, never held whole. 250 is
//! said after the commit, so a session that dies before it has promised nothing.
//!
//! Who may send what, and all limits, are a matter of the session's receive connector, which it
//! takes when it begins ([`terms`], [`rights`]).
//!
//! What a failure of a contract means to the client stands in [`reply`], nowhere else. The session
//! runs as the listener's session actor and knows contracts only.

mod accept;
mod author;
mod binary;
mod command;
pub mod config;
mod incoming;
mod nuisance;
mod places;
mod pressure;
mod rate;
mod reply;
mod rights;
mod scan;
mod screen;
mod service;
mod session;
mod terms;
mod trace;
mod transcribe;

pub use config::{Config, Role};
pub use service::SmtpService;
pub use transcribe::PROTOCOL_LOG;
