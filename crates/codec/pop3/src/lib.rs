//! POP3 as values: commands, status lines, capabilities and messages on the wire, bytes to values
//! and back.
//!
//! Nothing here does I/O, knows a clock or decides policy. Lines are cut by whoever reads them; a
//! session feeds them into the pieces below:
//!
//! ```text
//! line ─▶ Command::parse ─▶ session ─▶ StatusLine::encode ─▶ socket
//!                              └─ message ─▶ (TopCut) ─▶ Stuffer ─▶ socket
//! ```
//!
//! The client direction uses the same values: [`Command::encode`], [`ServerLine::parse`],
//! [`Capability::parse`], [`Unstuffer`].

pub mod capability;
pub mod code;
pub mod command;
pub mod fuzzing;
mod secret;
pub mod status;
pub mod stuff;
pub mod top;
pub mod unstuff;

pub use capability::{Capability, Expire};
pub use code::Code;
pub use command::{Command, CommandError};
pub use secret::Secret;
pub use status::{ServerLine, StatusLine, put_challenge};
pub use stuff::Stuffer;
pub use top::TopCut;
pub use unstuff::Unstuffer;
