//! Streaming MIME structure, envelopes, headers and decoded text: bytes to values, no I/O.
//!
//! A message is parsed once, at arrival: [`Scanner`] watches its bytes flow by, in any chunks, and
//! ends with a [`ParsedMessage`]: the tree of parts with octet ranges, the IMAP envelope and the
//! identifiers that threading needs. Bodies are never held. Everything later (FETCH of a section,
//! BODYSTRUCTURE, previews, bounces) works on that value plus ranges of the stored bytes.
//!
//! Every parser here is total: any bytes give a value, none gives an error or a panic, and the work
//! is linear in the input. What exceeds [`Limits`] is left out and `truncated` says so.

pub mod address;
pub mod author;
pub mod build;
mod captured;
pub mod casemap;
pub mod charset;
pub mod convert;
pub mod data_report;
pub mod date;
pub mod decode;
mod describe;
pub mod encoded_word;
pub mod filename;
pub mod fuzzing;
pub mod generate;
pub mod header;
mod lexer;
pub mod limits;
pub mod message;
pub mod message_id;
pub mod params;
mod quoted_printable;
pub mod report;
mod scanner;
mod section;
pub mod subject;
mod utf7;

pub use address::Address;
pub use limits::Limits;
pub use message::{
    ContentType, Disposition, Envelope, Param, ParsedMessage, Part, PartKind, SectionKind, SentAt,
};
pub use scanner::Scanner;

/// Parses a message that is already in memory.
pub fn parse(message: &[u8]) -> ParsedMessage {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message);
    scanner.finish()
}
