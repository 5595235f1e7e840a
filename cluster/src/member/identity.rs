//! Who this node is: the file `cluster/identity` below its data directory.
//!
//! Key, certificate, roots and ids stand in one file, which is replaced as a whole, so they always
//! fit together, whenever the power fails. It is its owner's alone (mode 0600, as all files that
//! [`base::env::Disk`] makes).

use crate::pki::{NodeIdentity, NodeKey, Roots};
use base::env::{Disk, DiskLock, Env};
use base::{Error, Kind, NodeId, Result, wire};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version byte of the file.
const FILE_VERSION: u8 = 1;

/// No identity is longer: a key, a certificate, some roots, hundreds of members.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the file holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Identity {
    /// A node that founds or joins a cluster; written before anybody hears of the key, so that
    /// whatever answer is lost, the same key asks again.
    Applicant {
        /// PKCS #8 DER.
        key: Vec<u8>,
        /// What it draws as the incarnation of a cluster that it founds.
        incarnation: u128,
    },
    /// A member.
    Member(Box<Membership>),
}

/// Everything a member needs to start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Membership {
    /// Which node of which cluster.
    pub(super) identity: NodeIdentity,
    /// Which Raft of that cluster.
    pub(super) incarnation: u128,
    /// Whether it founded the cluster.
    pub(super) is_founder: bool,
    /// Whether `raft.redb` was made: a node that has lost it must not come back under its id, for
    /// it may have promised things that it does not know any more.
    pub(super) has_log: bool,
    /// PKCS #8 DER.
    pub(super) key: Vec<u8>,
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// Whom it accepts.
    pub(super) roots: Roots,
    /// Where the others' links listened when it joined; until it hears of them itself.
    pub(super) members: Vec<(NodeId, String)>,
}

/// The directory, held by one process.
pub(super) struct Home {
    disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    _lock: Box<dyn DiskLock>,
}

impl Home {
    /// Opens (or makes) the directory. Blocks: for a thread that may wait.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if another process holds it, or of the disk.
    pub(super) fn open(env: &Env, data: &Path) -> Result<Self> {
        let (disk, dir) = (env.disk.clone(), data.join("cluster"));
        disk.create_dir_all(&dir).map_err(|error| broken(&dir, &error))?;
        let path = dir.join("lock");
        let lock = disk.lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let text = "Another process runs this node of the cluster";
                Error::new(Kind::Unavailable, text).detail(path.display())
            }
            _ => broken(&path, &error),
        })?;
        Ok(Self { disk, dir, _lock: lock })
    }

    fn path(&self) -> PathBuf {
        self.dir.join("identity")
    }

    /// Whether the Raft log is there.
    pub(super) fn has_raft_file(&self) -> bool {
        self.disk.exists(&self.dir.join("raft.redb"))
    }

    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is damaged; of the disk.
    pub(super) fn load(&self) -> Result<Option<Identity>> {
        let path = self.path();
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let read = || -> io::Result<Vec<u8>> {
            let file = self.disk.open(&path, false)?;
            let length = file.len()?.min(FILE_BYTES_MAX);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_at(0, &mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| broken(&path, &error))?;
        let damaged = |error: Error| Error::corrupt(format!("{}: {error}", path.display()));
        wire::decode_row(FILE_VERSION, &bytes).map(Some).map_err(damaged)
    }

    /// Replaces the file; durable when it returns. Blocks.
    ///
    /// # Errors
    /// Of the disk.
    pub(super) fn save(&self, identity: &Identity) -> Result<()> {
        let bytes = wire::encode_row(FILE_VERSION, identity)?;
        let (path, new) = (self.path(), self.dir.join("identity.new"));
        let write = || -> io::Result<()> {
            let file = self.disk.open(&new, true)?;
            file.set_len(0)?;
            file.write_at(0, &bytes)?;
            file.sync_data()?;
            drop(file);
            self.disk.rename(&new, &path)?;
            self.disk.sync_dir(&self.dir)
        };
        write().map_err(|error| broken(&path, &error))
    }

    /// Notes that the Raft log was made. Blocks.
    ///
    /// # Errors
    /// As [`Home::save`].
    pub(super) fn note_log(&self, membership: Membership) -> Result<Membership> {
        if membership.has_log {
            return Ok(membership);
        }
        let membership = Membership { has_log: true, ..membership };
        self.save(&Identity::Member(Box::new(membership.clone())))?;
        Ok(membership)
    }

    /// The key of a node that is not a member yet, drawn once and kept.
    ///
    /// # Errors
    /// As [`Home::save`].
    pub(super) fn applicant(&self, found: Option<Identity>, incarnation: u128) -> Result<Identity> {
        if let Some(found @ Identity::Applicant { .. }) = found {
            return Ok(found);
        }
        let key = NodeKey::generate()?.to_der().to_vec();
        let applicant = Identity::Applicant { key, incarnation };
        self.save(&applicant)?;
        Ok(applicant)
    }
}

/// Work with the disk, on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn broken(path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("{}: {error}", path.display()))
}
