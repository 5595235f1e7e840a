//! What an installation is from its first start on: the row `K/installation`.

use base::env::Random;
use base::{ClusterKey, Kind, NodeId, Result, wire};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use serde::{Deserialize, Serialize};

/// The version byte of the row.
const ROW_VERSION: u8 = 1;

/// The newest shape of the whole store that this binary understands. A store with a greater number
/// belongs to a newer Rialto and is not touched.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// The version of rows and messages that a new installation starts with, and the greatest that this
/// binary understands. 2: chains of folders in one request
/// (`contract_mailbox::Write::CreateFolders`), hints that warm a mailbox at its next owner; nothing
/// that was given out has the one without the other. 3: contacts and what happens to mail for
/// somebody, in rows of the directory, and the tracking events that tell of it
/// (`contract_directory::RECIPIENTS_LEVEL`). 4: rights one by one, orders and threads of messages
/// (`contract_mailbox::Write::Grant`, `contract_mailbox::Read::level`), attributes of people and
/// groups whose members are found by a filter (`contract_directory::FILTERS_LEVEL`), envelopes that
/// require TLS (`contract_transport::REQUIRE_TLS_LEVEL`), more conditions and actions of transport rules
/// (`contract_transport::rule::RULES_LEVEL`).
pub(crate) const FEATURE_LEVEL: u32 = 4;

/// The node of an installation that was founded on one machine.
pub(crate) const FIRST_NODE: NodeId = NodeId(1);

/// The identity of an installation, written once, by its first start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Installation {
    /// The shape of the store; raised by migrations only.
    pub format_version: u32,
    /// Tells installations apart (restored copies, peers of another cluster). Random.
    pub cluster_id: u128,
    /// Spreads accounts and queues over slots; secret.
    pub cluster_key: ClusterKey,
    /// The node whose store this is.
    pub node: NodeId,
    /// The version of rows and messages in use.
    pub feature_level: u32,
}

impl Installation {
    /// A new one, with an identity and a key of its own.
    pub(crate) fn draw(random: &dyn Random) -> Self {
        let mut key = [0; 16];
        random.fill(&mut key);
        Self {
            format_version: FORMAT_VERSION,
            cluster_id: random.u128(),
            cluster_key: ClusterKey(key),
            node: FIRST_NODE,
            feature_level: FEATURE_LEVEL,
        }
    }

    /// The key of the row.
    pub fn key() -> Bytes {
        KeyBuilder::new(b"K").raw(b"installation").build()
    }

    /// The row's bytes.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(ROW_VERSION, self)
    }

    /// Reads the row.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is none; [`Kind::Unavailable`] if the store is of a newer format.
    pub fn decode(row: &[u8]) -> Result<Self> {
        let found: Self = wire::decode_row(ROW_VERSION, row)?;
        let (format, level) = (found.format_version, found.feature_level);
        if format > FORMAT_VERSION || level > FEATURE_LEVEL {
            let text = "The data was written by a newer version of Rialto";
            return Err(base::Error::new(Kind::Unavailable, text).detail(format!(
                "store format {format} at feature level {level}; this binary understands \
                 {FORMAT_VERSION} at {FEATURE_LEVEL}"
            )));
        }
        Ok(found)
    }
}
