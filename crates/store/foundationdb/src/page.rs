//! Copying rows out of the client's memory.
//!
//! Many rows are small, so they share buffers; a caller that keeps one row keeps at most one small
//! buffer alive, not the whole page.

use bytes::{Bytes, BytesMut};

/// How large a shared buffer is, in bytes.
const SHARED_BYTES: usize = 16 << 10;

/// What is larger gets memory of its own, in bytes.
const OWN_BYTES: usize = 1 << 10;

/// Copies byte strings, small ones side by side.
#[derive(Default)]
pub(crate) struct Copier(BytesMut);

impl Copier {
    /// For about so many bytes in all.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes.min(SHARED_BYTES)))
    }

    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > OWN_BYTES {
            return Bytes::copy_from_slice(bytes);
        }
        if self.0.capacity() - self.0.len() < bytes.len() {
            self.0 = BytesMut::with_capacity(SHARED_BYTES);
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_exact_and_do_not_disturb_each_other() {
        let parts: Vec<Vec<u8>> =
            [0, 1, 1_000, 1_024, 1_025, 70_000, 3].iter().map(|n| vec![*n as u8; *n]).collect();
        let mut copier = Copier::new(10);
        let copies: Vec<Vec<Bytes>> =
            (0..50).map(|_| parts.iter().map(|part| copier.copy(part)).collect()).collect();
        for copy in copies {
            assert_eq!(copy, parts);
        }
    }
}
