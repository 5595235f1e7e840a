//! Times and sizes of Raft.

use base::{Error, Result};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// See the fields; the defaults are for production.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftOptions {
    /// How often the leader says that it is there. An append that takes longer is sent again.
    pub heartbeat: Duration,
    /// How long a voter is bound to a leader that it has heard; it votes for no other before.
    pub lease: Duration,
    /// After how much silence, behind the longest such time, a voter stands for election by itself;
    /// drawn anew each time. Ten times what a sync of the log takes on a busy disk, at least.
    pub election: Range<Duration>,
    /// How many entries may come between two snapshots.
    pub snapshot_every: u64,
    /// How many entries are kept though they are in the snapshot, for those who are a bit behind.
    pub keep_entries: u64,
    /// A node this many entries behind gets the snapshot.
    pub lag_max: u64,
    /// The largest piece of a snapshot in one message, in bytes; well below a link's frame.
    pub snapshot_chunk_bytes: u64,
}

impl Default for RaftOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            lease: Duration::from_millis(300),
            election: Duration::from_millis(500)..Duration::from_millis(1000),
            snapshot_every: 1000,
            keep_entries: 1000,
            lag_max: 2000,
            snapshot_chunk_bytes: 1 << 20,
        }
    }
}

impl RaftOptions {
    pub(crate) fn config(&self) -> Result<Arc<openraft::Config>> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: "rialto".into(),
            heartbeat_interval: ms(self.heartbeat),
            // Its own elections are off, see `elections`: this is the lease and nothing else.
            enable_elect: false,
            election_timeout_min: ms(self.lease).saturating_sub(1),
            election_timeout_max: ms(self.lease),
            // The default (200 ms) is less than a busy disk may take to sync once.
            install_snapshot_timeout: 5_000,
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep_entries,
            replication_lag_threshold: self.lag_max,
            snapshot_max_chunk_size: self.snapshot_chunk_bytes,
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|e| Error::internal(format!("Raft: {e}")))?;
        Ok(Arc::new(config))
    }
}
