//! Why the store cannot be opened, or has stopped.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error as ThisError;

/// The result of opening, closing and checking a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong, named so that an operator can act on it.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Another process (or another store in this one) has the directory open.
    #[error("{} is in use by another process{}", path.display(), pid_text(*pid))]
    InUse {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("{}: {what}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it answered.
        cause: io::Error,
    },
    /// Bytes that were durable once are damaged. Nothing was changed; restore from a backup.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, from the beginning of the file.
        offset: u64,
        /// How it shows.
        what: String,
    },
    /// The directory holds something else, or a format of another version.
    #[error("{}: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        what: String,
    },
    /// The table file failed.
    #[error("the table file: {0}")]
    Table(String),
}

impl Error {
    /// For `map_err` on a disk call.
    pub(crate) fn io<'a>(
        path: &'a Path,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Io { path: path.to_owned(), what, cause }
    }

    /// Whether the cause is a full disk.
    pub(crate) fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if is_full(cause))
    }
}

/// Whether it says that there is no room: the disk is full, or the owner's quota is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<Error> for base::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::Damaged { .. } => Self::corrupt(error),
            _ if error.is_full_disk() => {
                Self::new(base::Kind::OutOfSpace, "Insufficient system storage").detail(error)
            }
            _ => Self::unavailable(error),
        }
    }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
