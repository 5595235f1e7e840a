//! The first frame each way: who is there, and what both can speak.
//!
//! Its layout never changes, because it is what two versions of Rialto read of each other before
//! they have agreed on anything: numbers of fixed size, big-endian, in the order of
//! [`Hello::encode`]. Later versions may append; what follows is not read.

use super::error::violation;
use super::window::{Window, Windows};
use base::{BootId, NodeId, Result};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::ops::RangeInclusive;

/// What a hello begins with.
const MAGIC: &[u8; 4] = b"RLTO";

/// Its length in bytes.
const LENGTH: usize = 76;

/// The schemas of frames that this version reads and writes: its own and that of the version
/// before it (which is the first one as yet).
pub(super) const SCHEMAS: RangeInclusive<u16> = 1..=1;

/// Who one end of a link is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The schemas of frames that it understands.
    pub schemas: RangeInclusive<u16>,
    /// Its cluster.
    pub cluster_id: u128,
    /// Its node id.
    pub node: NodeId,
    /// This start of it.
    pub boot: BootId,
    /// The highest feature level that its binary understands.
    pub feature_level: u32,
    /// What it grants the other end.
    pub windows: Windows,
}

impl Hello {
    /// The bytes of a hello frame's head.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(LENGTH);
        bytes.put_slice(MAGIC);
        bytes.put_u16(*self.schemas.start());
        bytes.put_u16(*self.schemas.end());
        bytes.put_u128(self.cluster_id);
        bytes.put_u64(self.node.0);
        bytes.put_u128(self.boot.0);
        bytes.put_u32(self.feature_level);
        for window in [self.windows.control, self.windows.data] {
            bytes.put_u32(window.requests);
            bytes.put_u64(window.bytes);
        }
        bytes.freeze()
    }

    /// Reads a hello frame's head.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if it is none.
    pub fn decode(mut head: &[u8]) -> Result<Self> {
        if head.len() < LENGTH || !head.starts_with(MAGIC) {
            return Err(violation("the first frame is no hello"));
        }
        head.advance(MAGIC.len());
        let schemas = head.get_u16()..=head.get_u16();
        let (cluster_id, node, boot) = (head.get_u128(), head.get_u64(), head.get_u128());
        let feature_level = head.get_u32();
        let mut window = || Window { requests: head.get_u32(), bytes: head.get_u64() };
        let windows = Windows { control: window(), data: window() };
        let (node, boot) = (NodeId(node), BootId(boot));
        Ok(Self { schemas, cluster_id, node, boot, feature_level, windows })
    }

    /// The newest schema that both ends understand.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if there is none: their versions are too far apart.
    pub fn agree(&self, other: &Self) -> Result<u16> {
        let newest = *self.schemas.end().min(other.schemas.end());
        let oldest = *self.schemas.start().max(other.schemas.start());
        if oldest > newest {
            let (ours, theirs) = (&self.schemas, &other.schemas);
            return Err(violation(format!("it speaks schemas {theirs:?}, this node {ours:?}")));
        }
        Ok(newest)
    }
}
