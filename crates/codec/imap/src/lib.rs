//! IMAP commands and responses: bytes to values and back, no I/O.
//!
//! The way of a command through this crate:
//!
//! ```text
//! socket bytes → framer::Framer → RawCommand (lines + literals) → Command::parse → Command
//! Response / FetchWriter → BytesMut → socket bytes
//! ```
//!
//! The [`framer`] bounds memory and keeps the two sides in step before anything is parsed; the parser then
//! works on complete commands only and can never wait. [`client`] holds the other direction
//! (command printer, response parser) for tests, benches and our own client.
//!
//! Covered: RFC 3501 with LITERAL+ (7888), UIDPLUS (4315), MOVE (6851), IDLE (2177), NAMESPACE
//! (2342), SPECIAL-USE (6154), LIST-EXTENDED (5258), CHILDREN (3348), ID (2971), ENABLE (5161),
//! UNSELECT (3691), SASL-IR (4959), ESEARCH (4731), SEARCHRES (5182), WITHIN (5032), PARTIAL (9394),
//! LIST-STATUS (5819), STATUS=SIZE (8438), CONDSTORE and QRESYNC (7162), UNAUTHENTICATE (8437) and
//! BINARY (3516), MULTIAPPEND (3502), UTF8=ACCEPT (6855), UIDONLY (9586), what IMAP4rev2 (9051) adds,
//! and the response codes of RFC 5530. An extension adds a variant
//! to [`CommandBody`] or a field to the struct of a command; existing shapes stay.

pub mod client;
pub mod command;
pub mod framer;
pub mod fuzzing;
pub mod limits;
pub mod response;

mod error;
mod lex;
mod value;
mod wire;

pub use command::{Command, CommandBody};
pub use error::{ParseError, ParseErrorKind};
pub use framer::{FrameError, FrameEvent, Framer, Limits, RawCommand};
pub use response::{Code, FetchWriter, Response, Status, StatusResponse};
pub use value::{
    Capability, Date, DateTime, Flag, IdRange, IdSet, ListPattern, MailboxName, NameError, Names,
    Rights, Secret, SequenceSet, Tag, mutf7,
};
pub use wire::LiteralForm;
