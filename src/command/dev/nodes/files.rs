//! The files of one node of `rialto dev --nodes`.

use crate::node::{NodeConfig, PidFile};
use base::{Error, Result};
use std::path::{Path, PathBuf};

/// Written when the node has become a member of the cluster.
const MEMBER: &str = "member";

/// One node's directory, below the data directory of `rialto dev`.
#[derive(Clone, Debug)]
pub(crate) struct NodeFiles {
    /// Counted from 0.
    pub number: u16,
    /// `node-K`.
    pub name: String,
    /// Its data directory, absolute.
    pub dir: PathBuf,
    /// What `rialto serve` is given.
    pub config: PathBuf,
    /// What it prints, all lives together.
    pub log: PathBuf,
}

impl NodeFiles {
    /// Those of a node, whether they are there or not.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a path that cannot be.
    pub(crate) fn of(data: &Path, number: u16) -> Result<Self> {
        let name = format!("node-{number}");
        let dir = std::path::absolute(data.join(&name));
        let dir = dir.map_err(|error| Error::invalid(format!("{}: {error}", data.display())))?;
        let (config, log) = (dir.join("rialto.toml"), dir.join("log"));
        Ok(Self { number, name, dir, config, log })
    }

    /// Those of all nodes that are there.
    pub(crate) fn all(data: &Path) -> Vec<Self> {
        let nodes = (0..8).filter_map(|number| Self::of(data, number).ok());
        nodes.filter(|node| node.config.is_file()).collect()
    }

    /// Its configuration.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if it cannot be read.
    pub(crate) fn read_config(&self) -> Result<NodeConfig> {
        NodeConfig::read(&self.config)
    }

    pub(super) fn write_config(&self, text: &str) -> Result<()> {
        crate::node::ensure_data_dir(&self.dir)?;
        std::fs::write(&self.config, text).map_err(|error| self.wrong(&error))
    }

    /// Whether it has become a member.
    pub(super) fn is_member(&self) -> bool {
        self.dir.join(MEMBER).is_file()
    }

    pub(super) fn note_member(&self) -> Result<()> {
        std::fs::write(self.dir.join(MEMBER), "").map_err(|error| self.wrong(&error))
    }

    /// The process that holds the directory, if its file tells.
    pub(super) fn pid(&self) -> Option<i32> {
        PidFile::read(&self.dir)
    }

    /// How a person starts it.
    pub(crate) fn command(&self) -> String {
        format!("rialto serve --config {}", self.config.display())
    }

    fn wrong(&self, error: &std::io::Error) -> Error {
        Error::invalid(format!("{}: {error}", self.dir.display()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_their_configuration() {
        let dir = tempfile::tempdir().unwrap();
        assert!(NodeFiles::all(dir.path()).is_empty());
        for number in [0, 2] {
            NodeFiles::of(dir.path(), number).unwrap().write_config("").unwrap();
        }
        let found = NodeFiles::all(dir.path());
        assert_eq!(found.iter().map(|node| node.number).collect::<Vec<_>>(), [0, 2]);
        assert!(!found[1].is_member());
        found[1].note_member().unwrap();
        assert!(found[1].is_member() && found[1].pid().is_none());
        assert!(found[1].read_config().is_err());
    }
}
