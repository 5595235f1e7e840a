//! Building keys: short prefixes, big-endian integers, so that byte order is the order of values.

use bytes::{BufMut, Bytes, BytesMut};

/// Builds one key. Fixed-width parts come first; at most one variable part, at the end, or
/// terminated by [`KeyBuilder::text`].
#[derive(Clone, Debug)]
pub struct KeyBuilder(BytesMut);

impl KeyBuilder {
    /// Starts with a prefix.
    pub fn new(prefix: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(48);
        bytes.extend_from_slice(prefix);
        Self(bytes)
    }

    /// One byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.put_u8(value);
        self
    }

    /// Two bytes, big-endian.
    #[must_use]
    pub fn u16(mut self, value: u16) -> Self {
        self.0.put_u16(value);
        self
    }

    /// Four bytes, big-endian.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.put_u32(value);
        self
    }

    /// Eight bytes, big-endian.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.put_u64(value);
        self
    }

    /// Sixteen bytes, big-endian.
    #[must_use]
    pub fn u128(mut self, value: u128) -> Self {
        self.0.put_u128(value);
        self
    }

    /// Raw bytes; only as the last part.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    /// A variable part that others may follow: zero bytes are escaped, a zero byte ends it.
    #[must_use]
    pub fn text(mut self, value: &[u8]) -> Self {
        for byte in value {
            self.0.put_u8(*byte);
            if *byte == 0 {
                self.0.put_u8(0xff);
            }
        }
        self.0.put_u8(0);
        self
    }

    /// The finished key.
    pub fn build(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads the parts of a key back, in order. Every method answers `None` where the key is too
/// short.
#[derive(Clone, Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Over a key from which `prefix` has been taken, or `None` if it does not begin so.
    pub fn new(key: &'a [u8], prefix: &[u8]) -> Option<Self> {
        key.strip_prefix(prefix).map(Self)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|b| b[0])
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// Sixteen bytes, big-endian.
    pub fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_be_bytes)
    }

    /// A part written by [`KeyBuilder::text`].
    pub fn text(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut at = 0;
        loop {
            match (self.0.get(at)?, self.0.get(at + 1)) {
                (0, Some(0xff)) => {
                    value.push(0);
                    at += 2;
                }
                (0, _) => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                (byte, _) => {
                    value.push(*byte);
                    at += 1;
                }
            }
        }
    }

    /// What has not been read yet.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}
