//! How the store is opened, and why it cannot be.

use crate::space::KeySpace;
use base::env::Clock;
use bytes::Bytes;
use foundationdb_sys::LoadError;
use foundationdb_sys::network::NetworkError;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error as ThisError;

/// The environment variable that FoundationDB's own tools use for the cluster file.
pub const CLUSTER_FILE_VARIABLE: &str = "FDB_CLUSTER_FILE";

/// Where the cluster file is if nothing else is said.
pub const CLUSTER_FILE_DEFAULT: &str = "/etc/foundationdb/fdb.cluster";

/// How the store is opened. TLS, tracing and client threads are set as FoundationDB has it, by the
/// environment (`FDB_TLS_CERTIFICATE_FILE`, `FDB_NETWORK_OPTION_TRACE_ENABLE` and so on), which the
/// client library reads itself.
#[derive(Clone)]
pub struct Options {
    /// The file that names the coordinators; `None`: what `FDB_CLUSTER_FILE` says, else
    /// [`CLUSTER_FILE_DEFAULT`]. The client rewrites it when the coordinators change.
    pub cluster_file: Option<PathBuf>,
    /// The client library; `None`: what `RIALTO_FDB_C` says, else the installed one. A process has
    /// one library: the first store chooses.
    pub library: Option<PathBuf>,
    /// All keys begin so in the database; callers never see it. Must not begin with `\xff`. Its
    /// length counts for the key limit of 10,000 bytes.
    pub prefix: Bytes,
    /// For the metrics of latency.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// Everything as the environment says, and no prefix.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { cluster_file: None, library: None, prefix: Bytes::new(), clock }
    }

    /// The cluster file to use.
    ///
    /// # Errors
    /// [`OpenError::ClusterFile`] if it is not there.
    pub(crate) fn cluster_file(&self) -> Result<String, OpenError> {
        let named = self.cluster_file.clone().or_else(|| {
            let path = std::env::var_os(CLUSTER_FILE_VARIABLE)?;
            (!path.is_empty()).then(|| PathBuf::from(path))
        });
        let path = named.unwrap_or_else(|| PathBuf::from(CLUSTER_FILE_DEFAULT));
        match path.to_str() {
            Some(text) if path.is_file() => Ok(text.to_owned()),
            _ => Err(OpenError::ClusterFile(path)),
        }
    }

    pub(crate) fn space(&self) -> Result<KeySpace, OpenError> {
        KeySpace::new(self.prefix.clone()).ok_or(OpenError::Prefix)
    }
}

/// Why the store cannot be opened, in words for an operator.
#[derive(Debug, ThisError)]
pub enum OpenError {
    /// The client library cannot be used.
    #[error(
        "store foundationdb: {0}; install foundationdb-clients 7.3 or set RIALTO_FDB_C to the path \
         of libfdb_c.so"
    )]
    Library(LoadError),
    /// The client library is older than 7.3.
    #[error(
        "store foundationdb: the client library serves API versions up to {0}, 730 is needed; \
         install foundationdb-clients 7.3"
    )]
    LibraryTooOld(i32),
    /// There is no cluster file.
    #[error(
        "store foundationdb: the cluster file {} cannot be read; name it in the configuration or \
         in FDB_CLUSTER_FILE",
        .0.display()
    )]
    ClusterFile(PathBuf),
    /// The client refused.
    #[error("store foundationdb: {what} failed with code {code}")]
    Client {
        /// What was done.
        what: &'static str,
        /// FoundationDB's error code.
        code: i32,
    },
    /// The network thread does not run.
    #[error("store foundationdb: {0}")]
    Network(NetworkError),
    /// The key prefix begins with `\xff`, which belongs to FoundationDB itself.
    #[error("store foundationdb: the key prefix must not begin with the byte ff")]
    Prefix,
}

impl From<OpenError> for base::Error {
    fn from(error: OpenError) -> Self {
        Self::unavailable(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::FoundationDb;
    use base::env::Env;

    #[test]
    fn a_missing_library_is_named_with_its_remedy() {
        let cluster_file = tempfile::NamedTempFile::new().unwrap();
        let options = Options {
            cluster_file: Some(cluster_file.path().to_owned()),
            library: Some("/nowhere/libfdb_c.so".into()),
            ..Options::new(Env::real().clock)
        };
        let words = FoundationDb::open(options).err().unwrap().to_string();
        for part in [
            "store foundationdb: /nowhere/libfdb_c.so was not found",
            "install foundationdb-clients 7.3 or set RIALTO_FDB_C",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}
