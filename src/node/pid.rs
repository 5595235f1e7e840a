//! The file that tells a node's process id: for those who stop a node of a cluster, or kill it in a
//! drill. Whoever holds the data directory's lock has written it, so a file that is left over can
//! be told by the lock being free.

use base::{Error, Result};
use std::path::{Path, PathBuf};

/// Its name in the data directory.
const PID: &str = "pid";

/// The file; it goes with the node, but not when the node is killed.
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file; the lock must be held.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`] of the disk.
    pub(crate) fn write(data: &Path) -> Result<Self> {
        let (path, new) = (data.join(PID), data.join("pid.new"));
        let wrong = |error| Error::unavailable(format!("{}: {error}", path.display()));
        std::fs::write(&new, format!("{}\n", std::process::id())).map_err(wrong)?;
        std::fs::rename(&new, &path).map_err(wrong)?;
        Ok(Self(path))
    }

    /// Whose it is, if it is there.
    pub(crate) fn read(data: &Path) -> Option<i32> {
        std::fs::read_to_string(data.join(PID)).ok()?.trim().parse().ok()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_the_node() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(PidFile::read(dir.path()), None);
        let file = PidFile::write(dir.path()).unwrap();
        assert_eq!(PidFile::read(dir.path()), i32::try_from(std::process::id()).ok());
        drop(file);
        assert_eq!(PidFile::read(dir.path()), None);
    }
}
