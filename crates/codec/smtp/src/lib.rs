//! SMTP as values: commands, replies, addresses and the data stream, bytes to values and back.
//!
//! Nothing here does I/O, knows a clock or decides policy. A session feeds the bytes it read into
//! the pieces below, in this order, and gets values or errors that already know their reply:
//!
//! ```text
//! socket ─▶ LineFramer ─▶ Command::parse ─▶ session ─▶ Reply::encode ─▶ socket
//!               └─ after 354 ─▶ DataDecoder    └─ after BDAT n ─▶ BdatDecoder
//! ```
//!
//! All three readers take from the same `BytesMut`, so bytes that a client pipelined behind a
//! line, a message or a chunk stay where the next reader looks for them (RFC 2920), and one
//! `clear()` throws them away when TLS starts (RFC 3207 §6).
//!
//! The client direction uses the same values: [`Command::encode`], [`ReplyReader`],
//! [`DotStuffer`]. The modules [`sasl`] and [`address`] know nothing of SMTP sessions and serve
//! other protocols too.

pub mod address;
pub mod bdat;
pub mod command;
pub mod data;
pub mod ehlo;
pub mod framer;
pub mod fuzzing;
mod gather;
pub mod params;
pub mod path;
pub mod reply;
pub mod sasl;
mod scan;
pub mod stuff;
pub mod xtext;

pub use address::{Address, AddressError, Domain};
pub use bdat::{BdatDecoder, BdatError};
pub use command::{Command, CommandError, Dialect};
pub use data::{DataDecoder, DataStatus};
pub use ehlo::{EhloResponse, Extension};
pub use framer::{LineError, LineFramer};
pub use params::{
    BodyType, MailAuth, MailParams, Notify, OriginalRecipient, RcptParams, ReturnContent,
};
pub use path::{ForwardPath, ReversePath};
pub use reply::{EnhancedCode, Reply, ReplyError, ReplyReader};
pub use stuff::{CrlfNormaliser, DotStuffer};
