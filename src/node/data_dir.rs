//! The data directory: made for its owner alone.

use base::{Error, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes the directory if it is not there, for the owner of the process alone (0700). One that is
/// there stays as it is: whoever made it may have had reasons.
///
/// # Errors
/// [`base::Kind::Invalid`] if it cannot be made.
pub(crate) fn ensure(data: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| Error::invalid(format!("{}: {error}", data.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let mode = || std::fs::metadata(&data).unwrap().permissions().mode() & 0o777;
        ensure(&data).unwrap();
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
        ensure(&data).unwrap();
        assert_eq!(mode(), 0o750);
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(ensure(&dir.path().join("file/x")).is_err());
    }
}
