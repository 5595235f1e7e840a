//! What this process and its machine use.

use std::io;

/// How much memory is used, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// By this process.
    pub process_bytes: u64,
    /// By everybody who shares `total_bytes`, this process among them; without caches that are
    /// given up when somebody needs the room.
    pub used_bytes: u64,
    /// What there is: the machine's, or the share that the process's control group may use.
    pub total_bytes: u64,
}

/// The machine that the process runs on.
pub trait Machine: Send + Sync + 'static {
    /// How much memory is used now. Blocks for a moment.
    ///
    /// # Errors
    /// Of the operating system; `InvalidData` for figures that cannot be read.
    fn memory(&self) -> io::Result<Memory>;
}
