//! A request about the cluster: who is asked, and which node is meant.

use super::{Admin, Asked, Options, Refusal};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base::{Error, Kind};
use contract_control::{ClusterAdmin, ClusterStatus, NodeStatus};
use std::sync::Arc;

/// A request about the cluster that this node is in.
pub(super) struct Member {
    pub(super) cluster: Arc<dyn ClusterAdmin>,
    pub(super) options: Options,
}

impl FromRequestParts<Arc<Admin>> for Member {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        admin: &Arc<Admin>,
    ) -> Result<Self, Self::Rejection> {
        let Asked { options, .. } = Asked::from_request_parts(parts, admin).await?;
        match admin.cluster.clone() {
            Some(cluster) => Ok(Self { cluster, options }),
            None => Err(Refusal(alone()).into_response()),
        }
    }
}

/// What a node says that is in no cluster.
fn alone() -> Error {
    let text = "This node is in no cluster: its configuration has no section [cluster]";
    Error::new(Kind::Conflict, text)
}

impl Member {
    /// The status, and the node that a text means: its id (`n` and hexadecimal digits) or its name.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Invalid`] if two nodes could be meant; the cluster's.
    pub(super) async fn find(&self, text: &str) -> Result<(ClusterStatus, NodeStatus), Error> {
        let status = self.cluster.status(self.options.fresh).await?;
        let node = choose(&status.nodes, text)?.clone();
        Ok((status, node))
    }
}

/// People call nodes `n1` and `n2`, and ids look the same: whoever could mean two must say more.
fn choose<'s>(nodes: &'s [NodeStatus], text: &str) -> Result<&'s NodeStatus, Error> {
    let mut meant = nodes.iter().filter(|node| node.name == text || node.id.to_string() == text);
    match (meant.next(), meant.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => Err(Error::not_found(format!("The node {}", text.escape_debug()))),
        (Some(one), Some(other)) => Err(Error::invalid(format!(
            "\"{text}\" could be {} ({}) or {} ({}): use the other of its two names",
            one.name, one.id, other.name, other.id
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::node;
    use super::*;

    #[test]
    fn nodes_are_meant_by_id_or_name() {
        let nodes = [node(1, "a"), node(2, "n3"), node(3, "n2"), node(0x1f, "b")];
        let check = |text: &str, expected: Result<u64, Kind>| {
            let found = choose(&nodes, text).map(|node| node.id.0).map_err(|error| error.kind);
            assert_eq!(found, expected, "{text}");
        };
        check("n1", Ok(1));
        check("a", Ok(1));
        check("n1f", Ok(0x1f));
        check("31", Err(Kind::NotFound));
        check("", Err(Kind::NotFound));
        check("n2", Err(Kind::Invalid));
        check("n3", Err(Kind::Invalid));
    }
}
