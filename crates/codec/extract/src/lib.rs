//! What is in a file: its text, its properties, whether there is a program in it. Bytes to values,
//! without I/O.
//!
//! Files come from strangers. [`extract`] is total: any bytes give an [`Extract`], none gives an
//! error or a panic. Its work is bounded by [`Limits`], whatever a file says of itself: what would
//! exceed them is left out, and [`Outcome::Exceeded`] says so. All the same it belongs into a
//! process of its own, which can be killed.
//!
//! Read are plain text in any charset, HTML, RTF, Office Open XML, OpenDocument, PDF, and what is
//! packed with zip, gzip and tar, archives inside archives among them. What a file is, its first
//! bytes say, not its name.

mod archive;
mod charset;
mod html;
mod inflate;
mod job;
mod kind;
mod office;
mod pdf;
mod program;
mod rtf;
mod xml;

pub use html::append as append_html;
pub use kind::is_archive;
pub use program::{is_program, is_program_name};

use serde::{Deserialize, Serialize};

/// How many first bytes tell what a file is.
pub const HEAD_BYTES: usize = 512;

/// A file, and what is said of it where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct File<'a> {
    /// What it is called; may be empty.
    pub name: &'a str,
    /// Its media type, such as `text/html`; may be empty. Counts where the bytes say nothing.
    pub media_type: &'a str,
    /// The charset of its text; may be empty.
    pub charset: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
}

/// How much is done for one file and all that is packed in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How much text is given at most, in bytes (Exchange: the first megabyte).
    pub text_bytes_max: usize,
    /// How much is unpacked at most, in bytes, beside what the size of the file allows.
    pub unpacked_bytes: usize,
    /// How often as large as the file what is unpacked may be.
    pub unpacked_times: usize,
    /// How much is unpacked at most, however large the file, in bytes.
    pub unpacked_bytes_max: usize,
    /// How many files in files are looked into.
    pub files_max: usize,
    /// How deep files in files are looked into.
    pub depth_max: usize,
    /// How much of properties is given, in bytes.
    pub properties_bytes_max: usize,
}

impl Default for Limits {
    /// A megabyte of text; 8 MiB and 32 times the file, at most 64 MiB, are unpacked: documents
    /// are packed to a tenth, bombs to a thousandth. 1,000 files, five deep.
    fn default() -> Self {
        Self {
            text_bytes_max: 1 << 20,
            unpacked_bytes: 8 << 20,
            unpacked_times: 32,
            unpacked_bytes_max: 64 << 20,
            files_max: 1_000,
            depth_max: 5,
            properties_bytes_max: 64 << 10,
        }
    }
}

/// What was found in a file. Sent between processes of one version.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Extract {
    /// Its text, and that of the files in it; words are apart where a reader sees them so.
    pub text: String,
    /// What it says of itself: names in lower case, such as `title` and `author`, with values.
    pub properties: Vec<(String, String)>,
    /// Whether it is a program, or there is one in it, by its bytes or by its name.
    pub is_program: bool,
    /// Whether it, or something in it, cannot be read without a password.
    pub is_protected: bool,
    /// How far it could be looked into.
    pub outcome: Outcome,
}

/// How far a file could be looked into; of a file and those in it, the last of these that is true.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub enum Outcome {
    /// All of it.
    #[default]
    Whole,
    /// It is of a kind that is not read.
    Unsupported,
    /// It is not what it says that it is.
    Damaged,
    /// It is larger, deeper or more than what is looked at.
    Exceeded,
    /// Whoever looked at it did not come to an end.
    Failed,
}

impl Extract {
    /// Of a file that cannot be looked into.
    pub fn failed(outcome: Outcome) -> Self {
        Self { outcome, ..Self::default() }
    }

    /// Whether its content cannot be told, or not all of it.
    pub fn is_unreadable(&self) -> bool {
        self.is_protected || self.outcome != Outcome::Whole
    }

    /// Whether looking at it was given up before its end.
    pub fn is_cut_off(&self) -> bool {
        self.outcome >= Outcome::Exceeded
    }
}

/// Looks into a file.
pub fn extract(file: &File<'_>, limits: &Limits) -> Extract {
    let mut job = job::Job::new(limits, file.bytes.len());
    job.look(file, 0);
    job.finish()
}
