//! Files. Calls block: they are for threads that may wait, never for async tasks.

use std::io;
use std::path::{Path, PathBuf};

/// How much room a file system has, for a program without special rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// What it can hold in all, in bytes.
    pub total_bytes: u64,
    /// What is left of it.
    pub free_bytes: u64,
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for reading and writing; creates it if it is missing and `create` is set.
    ///
    /// # Errors
    /// Of the operating system.
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// Of the operating system.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The files in a directory, in order of name.
    ///
    /// # Errors
    /// Of the operating system.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Renames a file over another. Durable only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Of the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Of the operating system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether the path exists.
    fn exists(&self, path: &Path) -> bool;

    /// Makes creations, renames and removals in a directory durable.
    ///
    /// # Errors
    /// Of the operating system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of a file, which is created if missing; a second process (or a
    /// second lock in this one) is refused at once with [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// Of the operating system.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// How much room there is where the path is.
    ///
    /// # Errors
    /// Of the operating system; [`io::ErrorKind::Unsupported`] where that cannot be told.
    fn space(&self, path: &Path) -> io::Result<Space> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// One open file; reads and writes at explicit offsets, from any thread.
pub trait DiskFile: Send + Sync {
    /// Reads exactly `buffer.len()` bytes at an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] beyond the end; others of the operating system.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes at an offset; the file grows as needed.
    ///
    /// # Errors
    /// Of the operating system, [`io::ErrorKind::StorageFull`] among them.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable (fdatasync). After an error the caller must stop trusting
    /// the file: the pages may be gone.
    ///
    /// # Errors
    /// Of the operating system.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Of the operating system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    ///
    /// # Errors
    /// Of the operating system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros).
    ///
    /// # Errors
    /// Of the operating system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

/// An exclusive lock, held until dropped.
pub trait DiskLock: Send + Sync {}
