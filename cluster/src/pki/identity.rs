//! Which node of which cluster a certificate is for.

use base::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node of a cluster, as its certificate names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// The cluster's identity, drawn when it was founded.
    pub cluster_id: u128,
    /// The node within it.
    pub node: NodeId,
}

impl NodeIdentity {
    /// The one form in which it stands in a certificate: `rialto://<32 hex digits>/node/<decimal>`.
    pub fn uri(&self) -> String {
        format!("rialto://{:032x}/node/{}", self.cluster_id, self.node.0)
    }

    /// Reads that form. Any other spelling of the same numbers is none.
    pub fn parse_uri(uri: &str) -> Option<Self> {
        let (cluster, node) = uri.strip_prefix("rialto://")?.split_once("/node/")?;
        let cluster_id = u128::from_str_radix(cluster, 16).ok()?;
        let found = Self { cluster_id, node: NodeId(node.parse().ok()?) };
        (found.uri() == uri).then_some(found)
    }
}

impl fmt::Display for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri())
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
