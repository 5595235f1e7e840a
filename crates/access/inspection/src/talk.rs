//! What is said between a node and its worker: a question in front of the file, and one answer.
//! Both are of one version, for they are one program.

use serde::{Deserialize, Serialize};

/// The largest file that is looked into, in bytes; of a larger one only that it is so is told. The
/// child has to hold all of it: the directory of an archive stands at its end.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// The longest question, in bytes.
pub(crate) const QUESTION_BYTES_MAX: usize = 64 << 10;

/// The longest answer, in bytes: a megabyte of text, properties, and what is around them.
pub(crate) const ANSWER_BYTES_MAX: usize = 2 << 20;

/// The longest name, media type and charset, in bytes.
pub(crate) const WORD_BYTES_MAX: usize = 1_000;

/// How a worker that has understood begins its answer.
pub(crate) const GREETING: [u8; 4] = *b"RX1\n";

/// What is said of a file; the file follows, up to the end.
#[derive(Serialize, Deserialize, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) charset: String,
}
