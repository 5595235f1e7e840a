//! Which store `rialto dev` uses, and what it says about that.
//!
//! One node uses the embedded store unless it is told otherwise, several need one that they share.
//! `--store foundationdb` means the cluster of `--cluster-file`. Where none is named it is the
//! client's own, of `FDB_CLUSTER_FILE` or the default file, if anybody answers there; else a
//! stand-in is started. A cluster that was named is never replaced: an empty database in the place
//! of one that is only away would look like lost mail.

use super::standin::Standin;
use crate::cli::{Dev, StoreKind};
use crate::node::StoreSection;
use base::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store_foundationdb::{CLUSTER_FILE_DEFAULT, CLUSTER_FILE_VARIABLE};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The stand-in's port is the base of ports plus this, FoundationDB's own.
const PORT: u16 = 4500;

/// How long a coordinator may take to accept a connection.
const REACH_TIME: Duration = Duration::from_secs(2);

/// The store of a run.
pub(super) struct Chosen {
    /// What the node is told.
    pub section: StoreSection,
    /// What people are told.
    pub words: String,
    /// The database, if it is ours; it ends with this.
    pub standin: Option<Standin>,
}

/// Chooses, and starts the stand-in if it is that. The data directory must be there.
///
/// # Errors
/// If a stand-in is needed and cannot be started.
pub(super) async fn choose(dev: &Dev) -> Result<Chosen> {
    let usual = if dev.nodes == 1 { StoreKind::Embedded } else { StoreKind::Foundationdb };
    if dev.store.unwrap_or(usual) == StoreKind::Embedded {
        let words = format!("embedded, in {}", dev.data.join("store").display());
        return Ok(Chosen { section: StoreSection::default(), words, standin: None });
    }
    let foundationdb = |cluster_file, library| StoreSection {
        kind: StoreKind::Foundationdb,
        cluster_file,
        key_prefix: dev.key_prefix.clone(),
        library,
    };
    let usual = usual_cluster_file();
    let used = match &dev.cluster_file {
        Some(named) => Some(named),
        None if answers(&usual).await => Some(&usual),
        None => None,
    };
    if let Some(file) = used {
        let words = format!("FoundationDB, the cluster of {}", file.display());
        let section = foundationdb(Some(file.clone()), None);
        return Ok(Chosen { section, words, standin: None });
    }
    let standin = Standin::start(&dev.data.join("standin"), dev.ports + PORT).await?;
    let words = format!(
        "a STAND-IN for FoundationDB, not FoundationDB itself: no cluster answers at {}; it keeps \
         its data in {}",
        usual.display(),
        standin.dir.display()
    );
    let section = foundationdb(Some(standin.cluster_file.clone()), Some(standin.library.clone()));
    Ok(Chosen { section, words, standin: Some(standin) })
}

/// The cluster file that the client uses when it is told none.
fn usual_cluster_file() -> PathBuf {
    let named = std::env::var_os(CLUSTER_FILE_VARIABLE).filter(|path| !path.is_empty());
    named.map_or_else(|| CLUSTER_FILE_DEFAULT.into(), PathBuf::from)
}

/// Whether a coordinator of a cluster file accepts connections. The client library is not asked: a
/// process can load one only, and which one depends on the answer.
async fn answers(cluster_file: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(cluster_file) else {
        return false;
    };
    for coordinator in coordinators(&text) {
        if let Ok(Ok(_)) = timeout(REACH_TIME, TcpStream::connect(coordinator)).await {
            return true;
        }
    }
    false
}

/// The coordinators of `description:id@host:port[:tls],host:port…`.
fn coordinators(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let places = lines.filter_map(|line| line.split_once('@')).map(|(_, places)| places);
    let named = places.flat_map(|places| places.split(',')).map(str::trim);
    let plain = named.map(|place| place.strip_suffix(":tls").unwrap_or(place));
    plain.filter(|place| !place.is_empty()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn coordinators_are_read_from_a_cluster_file() {
        let check = |text: &str, expected: &[&str]| assert_eq!(coordinators(text), expected);
        check("# x@y\na:b@10.0.0.1:4500,10.0.0.2:4500:tls\n", &["10.0.0.1:4500", "10.0.0.2:4500"]);
        check("a:b@db.example:4500", &["db.example:4500"]);
        check("nothing", &[]);
        check("a:b@", &[]);
    }

    #[tokio::test]
    async fn a_cluster_answers_when_one_of_its_coordinators_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fdb.cluster");
        assert!(!answers(&file).await);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        std::fs::write(&file, format!("a:b@127.0.0.1:1,{address}")).unwrap();
        assert!(answers(&file).await);
        drop(listener);
        std::fs::write(&file, "a:b@127.0.0.1:1").unwrap();
        assert!(!answers(&file).await);
    }
}
